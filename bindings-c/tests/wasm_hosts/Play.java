class Play {
    static native int play(String folder, String path);

    public static void main(String[] args) {
        System.load(args[0]);
        System.exit(play(args[1], args[2]));
    }
}
