//! graceshut for Node.js.
