import CUring
import Glibc

// What the command line calls: one coarse function for each sub-command, the exit code as its result.

/// `weir check FILE`: all that is wrong, as `FILE:LINE:COLUMN: error: …`; 0 when it can be run.
public func check(file: String, prints: Bool, plans: Bool) -> Int32 {
    do throws(LaunchFailure) {
        let (_, settings) = try readSettings(.file(file))
        if prints {
            let effective = effectiveConfiguration(
                path: file, environment: currentEnvironment(), materials: MaterialFiles.reader, read: readConfigurationFile)
            write(effective.text ?? "", to: STDOUT_FILENO)
        }
        if plans {
            let crew = Crew(wanted: settings.workers, pinned: settings.pinsWorkers, machine: .current())
            let plan = ResourcePlan(settings: settings, crew: crew, openFiles: try OpenFiles.decide(settings).applied)
            write(plan.json.printed() + "\n", to: STDOUT_FILENO)
        }
        return 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir doctor`: findings about this machine; 0 when Weir can serve on it.
public func doctor(json: Bool) -> Int32 {
    let doctor = Doctor(facts: .gather())
    if json {
        write(JSONText.list(doctor.findings.map(\.json)).printed() + "\n", to: STDOUT_FILENO)
    } else {
        write(doctor.findings.map(\.text).joined(), to: STDOUT_FILENO)
        let sum = doctor.isFit ? "Weir can serve on this machine.\n" : "Weir cannot serve on this machine before the problems are solved.\n"
        write("\n" + sum, to: STDOUT_FILENO)
    }
    return doctor.isFit ? 0 : 1
}

/// `weir stat`: counters of the Weir behind `socket`, or of the only one that this user runs.
public func stat(socket: String?, json: Bool) -> Int32 {
    do throws(LaunchFailure) {
        let directory = AdminPath.directory(user: geteuid(), environment: currentEnvironment())
        let path = if let socket { socket } else { try AdminPath.only(in: directory) }
        write(try AdminClient.ask(json ? "stat json" : "stat", at: path), to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 1
    }
}

/// `weir version`: of this program and of the libraries it is linked with.
public func version() -> Int32 {
    write(Versions.text, to: STDOUT_FILENO)
    return 0
}

/// `weir help settings [WORD]`.
public func settingsPage(word: String?) -> Int32 {
    write(settingsHelp(word: word), to: STDOUT_FILENO)
    return 0
}

/// A manual page for man(1): 1 = the commands, from their declarations, 5 = the words of a configuration.
///
/// - Parameter commands: name and help text of each command, as the parser of the command line prints it.
public func manualPage(section: Int, program: String, commands: [(name: String, help: String)]) -> Int32 {
    switch section {
    case 1: write(commandManual(program: program, commands: commands), to: STDOUT_FILENO)
    case 5: write(settingsManual(version: Versions.weir), to: STDOUT_FILENO)
    default:
        say("there are manual pages of section 1 (the commands) and 5 (the configuration)")
        return 2
    }
    return 0
}
