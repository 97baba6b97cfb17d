//! Real processes of the built daemon: rings on loopback, their ends, refusals, command line, admin endpoint.
//!
//! Nothing here asserts how long something takes; deadlines only end tests that hang.

mod daemon {
    mod admin_endpoint;
    mod admin_tls;
    mod client_library;
    mod command_line;
    mod descriptors;
    mod families;
    mod first_process;
    mod health_endpoint;
    pub(crate) mod http;
    mod keys;
    mod large;
    mod malformed;
    mod membership;
    pub(crate) mod mounted;
    mod name_server;
    mod names;
    mod refusals;
    pub(crate) mod ring;
    pub(crate) mod session;
    mod slots;
    mod slow_readers;
}
