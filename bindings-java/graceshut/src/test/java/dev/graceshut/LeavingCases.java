package dev.graceshut;

/** Programs that stop by themselves, for {@link LeavingTest}. */
final class LeavingCases {
    private LeavingCases() {}

    static void run(String what) throws Exception {
        switch (what) {
            case "handler_before" -> {
                stopsByItself(1500, 0);
                goOn(Child.withHook("{}"));
            }
            case "handler_after" -> {
                Graceshut gs = Child.withHook("{}");
                gs.onEvent(e -> {
                    if (e.event().equals("handler")) {
                        Child.say("noticed");
                    }
                });
                stopsByItself(1500, 0);
                goOn(gs);
            }
            case "no_hooks" -> {
                stopsByItself(2000, 7);
                goOn(Graceshut.install(Options.builder().build()));
            }
            case "never_leaves" -> {
                Child.handleByJvm("TERM", () -> Child.say("own handler"));
                goOn(Child.withHook("{\"grace\": \"3s\"}"));
            }
            case "handler_slow" -> {
                stopsByItself(3000, 7);
                goOn(Child.withHook("{\"grace\": \"20s\"}"));
            }
            case "at_once" -> {
                stopsByItself(1500, 0);
                goOn(Child.withHook("{\"leave\": \"at_once\"}"));
            }
            case "no_handler" -> goOn(Child.withHook("{}"));
            case "exits_at_once" -> {
                Child.handleByJvm("TERM", () -> System.exit(0));
                Graceshut gs = Child.withHook("{}");
                gs.hook(Phase.FLUSH, "slow", ctx -> {
                    Thread.sleep(500);
                    Child.say("slow hook done");
                });
                goOn(gs);
            }
            case "jvm_hook" -> {
                Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                    Child.sleepOn(2000);
                    Child.say("own stop done");
                }));
                goOn(Child.withHook("{}"));
            }
            default -> throw new IllegalArgumentException(what);
        }
    }

    /** As servers do: the handler begins a stop, and the program leaves when that is over. */
    private static void stopsByItself(long ms, int status) throws Exception {
        Child.handleByJvm("TERM", () -> {
            Child.say("own handler");
            new Thread(() -> {
                Child.sleepOn(ms);
                Child.say("own stop done");
                System.exit(status);
            }).start();
        });
    }

    private static void goOn(Graceshut gs) {
        Child.say("ready");
        Child.sleepOn(40_000);
    }
}
