#!/bin/sh
# Both programs: the one with graceshut, and the bare one.
set -eu
g++ -std=c++17 -O1 -pthread -o "$BUILT/bare" app.cpp
g++ -std=c++17 -O1 -pthread -DWITH -o "$BUILT/with" app.cpp $(pkg-config --cflags --libs graceshut) -Wl,-rpath,"$STAGE/lib"
