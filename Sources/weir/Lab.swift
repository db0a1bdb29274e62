import ArgumentParser
import Proxy

struct Lab: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find out what a setting is worth on this machine, and apply profiles of settings.",
        discussion: "Nothing is changed before it was shown, and everything is put back, also after Ctrl-C and after SIGKILL.",
        subcommands: [Run.self, Restore.self, Profile.self])

    /// How changes are made.
    struct Changes: ParsableArguments {
        @Flag(help: "Show what would be done, and do nothing.")
        var dryRun = false

        @Flag(help: "Change settings of the machine without asking.")
        var yes = false

        @Option(help: ArgumentHelp("Where changes are noted before they are made. Default: below /var/lib/weir for root.", valueName: "file"))
        var journal: String?

        var options: LabOptions { LabOptions(dryRun: dryRun, agreed: yes, journal: journal) }
    }

    /// Where the files are.
    struct Place: ParsableArguments {
        @Option(help: ArgumentHelp("Folder of experiments, profiles and results. Default: tuning.", valueName: "folder"))
        var directory: String?
    }

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run experiments, and write a page with plots and a verdict for each.",
            discussion: """
                Variants take turns (A B B A …), each measurement after a warm-up; one that others disturbed is repeated. Results go to RESULTS/NAME/index.html and raw.json.
                Exits with 1 when an experiment could not be run, with 0 whatever the verdicts are.
                """)

        @Argument(help: "Files of experiments.", completion: .file(extensions: ["conf"]))
        var files: [String]

        @Option(help: ArgumentHelp("Folder of the results. Default: tuning/results.", valueName: "folder"))
        var results: String?

        @Option(help: ArgumentHelp("Rounds in place of the file's; fewer than six prove nothing.", valueName: "count"))
        var rounds: Int?

        @Flag(help: "Count measurements also when others used the machine or its speed changed meanwhile.")
        var acceptNoise = false

        @OptionGroup var changes: Changes
        @OptionGroup var place: Place

        func validate() throws {
            if let rounds, !(1...200).contains(rounds) { throw ValidationError("--rounds takes 1 to 200.") }
        }

        func run() throws {
            try end(
                labRun(
                    files: files, results: results, rounds: rounds, acceptsNoise: acceptNoise, folder: place.directory, changes.options))
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a lab that was ended left behind, ask, and put it back.",
            discussion: "Rarely needed: a lab restores when it ends or is killed, and the next one restores first.")

        @OptionGroup var changes: Changes

        func run() throws { try end(labRestore(changes.options)) }
    }

    struct Profile: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Settings for one purpose, each with its reason.", subcommands: [List.self, Show.self, Apply.self, Revert.self])

        struct List: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "List the profiles.")
            @OptionGroup var place: Place
            func run() throws { try end(labProfiles(folder: place.directory)) }
        }

        struct Show: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Show what a profile would change here, and why.")
            @Argument(help: "Name or file of the profile.") var name: String
            @OptionGroup var place: Place
            func run() throws { try end(labProfile(show: name, folder: place.directory)) }
        }

        struct Apply: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Show what a profile changes, ask, and change it until 'revert' or the next start of the machine.")
            @Argument(help: "Name or file of the profile.") var name: String
            @OptionGroup var changes: Changes
            @OptionGroup var place: Place
            func run() throws { try end(labProfile(apply: name, folder: place.directory, changes.options)) }
        }

        struct Revert: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Show what profiles changed, ask, and put it back.")
            @OptionGroup var changes: Changes
            func run() throws { try end(labProfileRevert(changes.options)) }
        }
    }
}
