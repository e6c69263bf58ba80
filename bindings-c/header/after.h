
/* The version of this header; graceshut_version() tells the library's. */
#define GRACESHUT_VERSION "@VERSION@"
#define GRACESHUT_VERSION_MAJOR @MAJOR@
#define GRACESHUT_VERSION_MINOR @MINOR@
#define GRACESHUT_VERSION_PATCH @PATCH@
