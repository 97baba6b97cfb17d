//! The program of the container that holds a pod's namespaces: does nothing until it is ended.

fn main() {
    loop {
        std::thread::park();
    }
}
