package main

// #include <stdlib.h>
// int play(const char *folder, const char *path);
import "C"

import "os"

func main() {
	os.Exit(int(C.play(C.CString(os.Args[1]), C.CString(os.Args[2]))))
}
