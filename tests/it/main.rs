//! The app as a user meets it.
