//! The public test suite for the ports, and decorators that inject faults.
