//! The SpreadCluster type.
