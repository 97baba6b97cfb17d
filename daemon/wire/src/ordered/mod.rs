//! Requests and tables that travel in the total order.
