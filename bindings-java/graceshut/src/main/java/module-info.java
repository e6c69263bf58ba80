/**
 * One signal handler, ordered time-boxed phases, one deadline.
 *
 * <p>Native access: the library is loaded by JNA, whose module is the one that needs {@code --enable-native-access} from JDK 24
 * on ({@code com.sun.jna} on the module path, {@code ALL-UNNAMED} on the class path).
 */
module dev.graceshut {
    requires com.sun.jna;
    requires static java.logging;
    requires static jdk.httpserver;

    exports dev.graceshut;
    exports dev.graceshut.http;

    opens dev.graceshut.internal to com.sun.jna;
}
