# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_graceshut_global_optspecs
    string join \n h/help V/version
end

function __fish_graceshut_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_graceshut_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_graceshut_using_subcommand
    set -l cmd (__fish_graceshut_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c graceshut -n "__fish_graceshut_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_needs_command" -s V -l version -d 'Print version'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "run" -d 'Run a program so that it starts, is signalled and ends as it should: PID 1, wrapper, supervisor, timeout'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "stop" -d 'Stop a process: signal, wait, KILL if asked to; the exit status tells how it went'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "prestop" -d 'Announce and drain before the TERM comes: the command for a container\'s preStop'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "plan" -d 'Show the effective configuration with its origins, and draw the schedule of a shutdown'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "doctor" -d 'Find what would cut a shutdown short: in a live process, or in deployment files'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "report" -d 'Draw what a shutdown did with its time; several side by side; live while it happens'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "verify" -d 'Start a service, load it, stop it, and tell what was lost'
complete -c graceshut -n "__fish_graceshut_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l grace -d 'Time from the signal until everything is over; the same as GRACESHUT_GRACE' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l stop-signal -d 'The signal that asks CMD to stop; by default the one that came, TERM where none did' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l rewrite -d 'Pass a signal on as another; TO 0 drops it; may be given several times' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l remap -d 'Leave with another status than CMD\'s; may be given several times' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l pdeathsig -d 'The signal that graceshut gets when its parent ends' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l phase -d 'The phase in which CMD is stopped' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l rest-grace -d 'How long what CMD left behind may take after TERM, within the grace' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l for -d 'End CMD after this long, with status 124, as timeout(1)' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l signal -d 'With --for: the signal to end it with' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l kill-after -d 'With --for: KILL this long after that signal; by default when the grace is over' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l config -d 'The configuration file; the same as GRACESHUT_CONFIG (by default graceshut.toml, if it is there)' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l child-config -d 'The configuration file that CMD is to see' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l admin -d 'Where readiness and preStop are answered; the same as GRACESHUT_ADMIN' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l report -d 'Where the report goes; the same as GRACESHUT_REPORT' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l pidfile -d 'Write the pid of graceshut to this file, for `graceshut stop --pidfile`' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l child -d 'Signal CMD alone, not its process group'
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l session -d 'Put CMD into a session of its own, without the terminal'
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l subreaper -d 'Adopt orphans of CMD, so that they are ended and reaped here (PID 1 does so anyway)'
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -l preserve-status -d 'With --for: the status of CMD instead of 124'
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -s v -l verbose -d 'Say what happens, on standard error'
complete -c graceshut -n "__fish_graceshut_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand stop" -l pidfile -d 'A file that holds its pid' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand stop" -l signal -d 'The signal that asks it to stop' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand stop" -l timeout -d 'How long to wait for it; with --kill-after that counts instead' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand stop" -l kill-after -d 'KILL it when it still runs this long after the signal' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand prestop" -l admin -d 'The admin endpoint, as the key `admin` has it: IP:PORT or unix:/path' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand prestop" -l delay -d 'The delay where no graceshut answers' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand prestop" -l timeout -d 'The longest wait; by default the grace of the configuration' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand prestop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand plan" -l config -d 'The configuration file; by default the one in GRACESHUT_CONFIG, else graceshut.toml in this folder' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand plan" -l grace -d 'What if the grace were this? Beats every other source' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand plan" -l hooks -d 'Which phases have hooks: `all`, `declared` (only those in the file), or names with commas between' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand plan" -l json -d 'Print one JSON object instead'
complete -c graceshut -n "__fish_graceshut_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand doctor" -l pid -d 'Look at this process' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand doctor" -l format -d 'How to print what was found' -r -f -a "human\t'For people'
json\t'One object'
sarif\t'For code hosts'"
complete -c graceshut -n "__fish_graceshut_using_subcommand doctor" -l ignore -d 'Do not report this code; may be given several times' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand doctor" -l handlers -d 'With --pid: stop the process for a moment to see which library each handler lies in'
complete -c graceshut -n "__fish_graceshut_using_subcommand doctor" -l list -d 'Print every code with what it means'
complete -c graceshut -n "__fish_graceshut_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l follow -d 'Show the shutdown live: the admin endpoint of a service (host:port, http://host:port or unix:/path), or a report file that is still to come' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -s o -l output -d 'Write to FILE instead of standard output' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l by -d 'Order and label of several reports; by default as they come' -r -f -a "language\t'The language of the service'
time\t'When it was stopped'"
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l json -d 'Print one JSON object: the reports, slack, warnings'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l svg -d 'Print an SVG picture'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l html -d 'Print one self-contained page of HTML'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l each -d 'Of several reports, draw each timeline as well'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l whole -d 'Keep the whole budget on the axis'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -l check -d 'Exit with 1 when a shutdown was not clean or a phase is about to outgrow its reserve'
complete -c graceshut -n "__fish_graceshut_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l ready -d 'URL that answers 2xx while the service wants traffic (http:// only)' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l load -d 'URL to load with GETs and POSTs; may be given several times (http:// or https://, whose certificate is not looked at)' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l connections -d 'Keep-alive connections, each with one request at a time; shared out evenly over the load URLs' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l post-share -d 'How many of the requests are POSTs (with a small JSON body); the rest are GETs' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l pause -d 'Pause between two requests of one connection, on average' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l signal -d 'The signal to send, by name or number' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l after -d 'How long to load the service before the signal is sent' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l requests -d 'Load until so many requests were sent, though no shorter than --after' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l second-signal -d 'Send the signal a second time, TIME (1s) after the first, if the service is still there' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l scarce -d 'Hold a resource short while the service leaves' -r -f -a "cpu\t'Eight busy threads for each processor compete with the service (and with the clients)'
fds\t'It cannot open another file or socket (RLIMIT_NOFILE at the first free number): EMFILE'
threads\t'It cannot make another thread (RLIMIT_AS just above what it has mapped): EAGAIN'
memory\t'It cannot get more memory (RLIMIT_DATA just above what it has): ENOMEM'
disk\t'No file can be written (RLIMIT_FSIZE 0, SIGXFSZ ignored): EFBIG, as ENOSPC on a full disk'"
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l rounds -d 'Restart two instances of CMD in turn, N times in all, behind a load balancer, under load' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l behind -d 'The load balancer of --rounds' -r -f -a "auto\t'Whichever is installed'
nginx\t'nginx: reloaded with the instance taken out as it gets its signal, and again when it is back'
haproxy\t'haproxy: asks each instance\'s --ready URL every 50 ms'"
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l grace -d 'How long the service may take from the signal to its exit; then its process group is killed' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l ready-timeout -d 'How long the service may take from its start to being ready' -r
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l report -d 'Where the service is told to leave its own report (GRACESHUT_REPORT), and where that stays' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l json -d 'Write the verdict to FILE, as one JSON object; FILE stays empty if there is no verdict' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l junit -d 'Write the verdict to FILE as JUnit XML' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -l baseline -d 'Compare with an earlier run: its --json file' -r -F
complete -c graceshut -n "__fish_graceshut_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "run" -d 'Run a program so that it starts, is signalled and ends as it should: PID 1, wrapper, supervisor, timeout'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "stop" -d 'Stop a process: signal, wait, KILL if asked to; the exit status tells how it went'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "prestop" -d 'Announce and drain before the TERM comes: the command for a container\'s preStop'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "plan" -d 'Show the effective configuration with its origins, and draw the schedule of a shutdown'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "doctor" -d 'Find what would cut a shutdown short: in a live process, or in deployment files'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "report" -d 'Draw what a shutdown did with its time; several side by side; live while it happens'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "verify" -d 'Start a service, load it, stop it, and tell what was lost'
complete -c graceshut -n "__fish_graceshut_using_subcommand help; and not __fish_seen_subcommand_from run stop prestop plan doctor report verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
