/** Work in flight of servlet containers. */
module dev.graceshut.servlet {
    requires transitive dev.graceshut;
    requires transitive jakarta.servlet;

    exports dev.graceshut.servlet;
}
