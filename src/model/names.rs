//! DNS names as published: who is called what, and who may ask.
