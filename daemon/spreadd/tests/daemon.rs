//! Real processes of the built daemon: rings on loopback, their ends, refusals, command line, admin endpoint.
//!
//! Nothing here asserts how long something takes; deadlines only end tests that hang.

mod daemon {
    mod admin_endpoint;
    mod client_library;
    mod command_line;
    mod descriptors;
    pub(crate) mod http;
    mod keys;
    mod malformed;
    mod membership;
    mod refusals;
    pub(crate) mod ring;
    pub(crate) mod session;
    mod slots;
    mod slow_readers;
}
