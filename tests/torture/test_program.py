"""What the harness makes of programs of our own, with a stand-in for jitctl: python3 -B tests/torture/test_program.py"""

import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import directives
import execute
import kinds
import processes
import suites

# Links what it is given and runs it, as jitctl does, and then does what each test has it do.
STAND_IN = """#!/bin/sh
for argument; do case $argument in *.o) objects="$objects $argument" ;; --sandbox=*) profile=${argument#*=} ;; esac; done
run() { cc -o linked $objects && ./linked; }
"""


class Programs(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def compare(self, source, stand_in="run", **plan):
        """The result of a C program for a jitctl that ends with the shell commands."""
        paths = {}
        for name, text in (("test.c", source), ("jitctl", STAND_IN + stand_in)):
            paths[name] = os.path.join(self.directory, name)
            with open(paths[name], "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(paths["jitctl"], 0o700)
        made = directives.Plan("run", ["-w"])
        made.sources = [paths["test.c"]]
        vars(made).update(plan)
        configuration = suites.Configuration("cc", "cc", "c++", "-O1 -fPIC")
        test = suites.Test(suites.FOLDERS[0], "test.c")
        scratch = tempfile.mkdtemp(dir=self.directory)
        try:
            return execute.Program(paths["jitctl"], test, configuration, made, scratch).compare(kinds.read())
        except execute.Failed as failure:
            return {"status": "native", "reason": failure.args[0]}

    def is_found(self, status, reason, *arguments, **plan):
        result = self.compare(*arguments, **plan)
        self.assertEqual(result["status"], status, result)
        self.assertIn(reason, result["reason"])

    HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); fputs("there", stderr); return 0; }'

    def test_the_same_status_and_output_agree(self):
        self.is_found("agrees", "", self.HELLO)

    def test_another_status_or_output_differs(self):
        self.is_found("differs", "exit status 3 instead of 0", self.HELLO, "run; exit 3")
        self.is_found("differs", "stdout", self.HELLO, "run; echo more")
        self.is_found("differs", "stderr", self.HELLO, "run; echo more >&2")

    def test_a_signal_is_a_status(self):
        self.is_found("differs", "exit status 134 instead of 0", self.HELLO, "run; kill -ABRT $$")

    def test_what_does_not_end_is_ended(self):
        execute.JITD_SECONDS, before = 0.2, execute.JITD_SECONDS
        self.addCleanup(setattr, execute, "JITD_SECONDS", before)
        self.is_found("differs", "does not end", self.HELLO, "exec sleep 60")

    def test_what_writes_without_end_is_ended(self):
        processes.OUTPUT_LIMIT, before = 1 << 16, processes.OUTPUT_LIMIT
        self.addCleanup(setattr, processes, "OUTPUT_LIMIT", before)
        self.is_found("differs", "writes without end", self.HELLO, "yes")

    def test_a_native_failure_measures_nothing(self):
        self.is_found("native", "exit status 4 natively", "int main(void) { return 4; }")
        self.is_found("native", "exit status 134", "#include <stdlib.h>\nint main(void) { abort(); }")
        self.is_found("native", "does not compile", "int main(void) { return }")
        self.is_found("native", "does not link", "int other(void);\nint main(void) { return other(); }")

    def test_one_that_is_to_fail_fails_in_the_same_way(self):
        aborts = "#include <stdlib.h>\nint main(void) { abort(); }"
        self.is_found("agrees", "", aborts, "run; code=$?; echo report >&2; exit $code", fails=True)
        self.is_found("differs", "exit status 1 instead of 134", aborts, "exit 1", fails=True)
        self.is_found("native", "exit status 0", self.HELLO, fails=True)

    def test_a_refusal_is_known_by_its_text(self):
        known = "echo \"jitctl: a.o: section 6 '.note.GNU-stack': asks for an executable stack, which\" >&2; exit 125"
        self.is_found("refused", "executable-stack", self.HELLO, known)
        self.is_found("differs", "odd", self.HELLO, "echo 'jitctl: a.o: odd' >&2; exit 125")
        self.is_found("differs", "executable", self.HELLO, known.replace("125", "1"))

    def test_what_only_the_default_profile_forbids_is_said_to_be_so(self):
        self.is_found("profile", "trusted", self.HELLO, "run; [ $profile = trusted ]")

    def test_output_that_changes_natively_too_is_no_difference(self):
        unwritten = '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { printf("%d", *(int *)malloc(64)); }'
        self.is_found("unsteady", "among themselves", unwritten + "\n", "MALLOC_PERTURB_=3 run")
        self.is_found("differs", "exit status 1 instead of 0", unwritten.replace("}", "return 0; }"), "exit 1")

    def test_a_program_is_known_by_what_it_defines(self):
        replaced = "#include <stddef.h>\nvoid free(void *gone) {}\n" + self.HELLO
        self.is_found("known", "replaced-allocator", replaced, "run; exit 3")
        self.is_found("agrees", "", replaced)

    def test_environment_and_files_reach_both(self):
        source = ('#include <stdio.h>\n#include <stdlib.h>\n'
                  'int main(void) { puts(getenv("NAME")); return !fopen("data.txt", "r"); }')
        data = os.path.join(self.directory, "data.txt")
        with open(data, "w", encoding="utf-8"):
            pass
        self.is_found("agrees", "", source, environment={"NAME": "some value"}, files=[data])


if __name__ == "__main__":
    unittest.main()
