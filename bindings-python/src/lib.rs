//! graceshut for Python.
