// The same for Java: a native method of class Play.
#include <jni.h>

int play(const char *folder, const char *path);

JNIEXPORT jint JNICALL Java_Play_play(JNIEnv *env, jclass class, jstring folder, jstring path)
{
    const char *f = (*env)->GetStringUTFChars(env, folder, NULL);
    const char *p = (*env)->GetStringUTFChars(env, path, NULL);
    (void)class;
    return play(f, p);
}
