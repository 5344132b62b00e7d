//! Round trips of extreme rows, and hostile bytes.
