//! The client protocol: one endpoint and its sessions.
