int play(const char *folder, const char *path);

int main(int argc, char **argv)
{
    return argc == 3 ? play(argv[1], argv[2]) : 2;
}
