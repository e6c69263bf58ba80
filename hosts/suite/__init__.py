"""The suite of hosts: real servers, tools and libraries, each run with graceshut and without it."""
