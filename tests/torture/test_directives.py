"""What directives mean, in words of our own: python3 -B tests/torture/test_directives.py"""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import alternate
import directives
import kinds
import selector
import tcl


def plan(*lines, **how):
    how.setdefault("configured", ["-O2", "-fPIC"])
    return directives.plan("\n".join(f"/* {{ {line} }} */" for line in lines), **how)


class Words(unittest.TestCase):
    def test_braces_and_quotes_are_stripped_once(self):
        self.assertEqual(tcl.words('dg-do run { target { a b } } "x y"'), ["dg-do", "run", " target { a b } ", "x y"])

    def test_braces_hold_quotes_and_quotes_hold_braces(self):
        self.assertEqual(tcl.words(r'{a "b} "{ c" d\ e'), ['a "b', "{ c", "d e"])

    def test_what_is_not_closed_is_refused(self):
        for text in ("{a", '"a', "a {b {c}"):
            with self.assertRaises(ValueError):
                tcl.words(text)

    def test_a_script_is_commands_without_comments(self):
        script = '# no; comment\nif [call "x y"] {\n  return 1\n}\nset a "b;c"; return 0\n'
        self.assertEqual(tcl.commands(script), [["if", '[call "x y"]', "\n  return 1\n"], ["set", "a", "b;c"],
                                                ["return", "0"]])


class Selectors(unittest.TestCase):
    def selects(self, text, **target):
        return selector.Target(cpu={"sse2", "avx"}, **target).selects(text)

    def test_triples_are_patterns_of_which_one_must_match(self):
        self.assertTrue(self.selects("x86_64-*-*"))
        self.assertTrue(self.selects("i?86-*-* x86_64-*-linux*"))
        self.assertFalse(self.selects("i?86-*-* powerpc*-*-*"))

    def test_operators_nest(self):
        self.assertTrue(self.selects("{ i?86-*-* x86_64-*-* } && { ! ia32 }"))
        self.assertFalse(self.selects("{ i?86-*-* x86_64-*-* } && ia32"))
        self.assertTrue(self.selects("ia32 || { lp64 && { ! freestanding } }"))
        self.assertFalse(self.selects("! { ia32 || lp64 }"))
        self.assertTrue(self.selects("ilp32 || lp64 && int128"))

    def test_an_unknown_target_matters_only_if_it_decides(self):
        self.assertTrue(self.selects("lp64 || no_such_thing"))
        self.assertFalse(self.selects("no_such_thing && ia32"))
        with self.assertRaisesRegex(selector.Unknown, "no_such_thing"):
            self.selects("lp64 && no_such_thing")

    def test_runtime_targets_are_the_processor_s(self):
        self.assertTrue(self.selects("avx_runtime"))
        self.assertFalse(self.selects("avx512f_runtime"))

    def test_c_plus_plus_standards_follow_the_options(self):
        self.assertFalse(self.selects("c++11"))
        self.assertTrue(self.selects("c++11", cxx=True))
        self.assertFalse(self.selects("c++14_down", cxx=True))
        self.assertTrue(self.selects("c++14_down && c++14_only", cxx=True, options=["-std=gnu++14"]))
        self.assertTrue(self.selects("! c++11", cxx=True, options=["-std=c++98"]))


class Directives(unittest.TestCase):
    def test_only_run_is_run(self):
        self.assertIsNone(plan("dg-do run").skip)
        self.assertEqual(plan("dg-do compile").skip, "dg-do compile")
        self.assertEqual(plan().skip, "dg-do compile")
        self.assertIsNone(plan(action="run").skip)

    def test_a_target_decides_and_an_expected_failure_does_not(self):
        self.assertEqual(plan("dg-do run { target powerpc*-*-* }").skip, "dg-do target")
        self.assertIsNone(plan("dg-do run { target { lp64 || ilp32 } }").skip)
        self.assertIsNone(plan("dg-do run { xfail *-*-* }").skip)

    def test_options_replace_and_additional_ones_add(self):
        made = plan("dg-do run", 'dg-options "-O1 -fwrapv"', 'dg-options "-fno-common" { target hppa*-*-* }',
                    'dg-additional-options "-mavx" { target x86_64-*-* }', "dg-add-options bind_pic_locally")
        self.assertEqual(made.all_options(), ["-O1", "-fwrapv", "-mavx", "-fPIE"])
        self.assertEqual(plan("dg-do run", "dg-options {-g}", "dg-options {-a -b}").all_options(), ["-a", "-b"])

    def test_directives_need_white_space_inside_their_braces(self):
        self.assertEqual(directives.find("/* {dg-do run} */\n// { dg-do run }x"), [["dg-do", "run"]])

    def test_files_and_environment(self):
        made = plan("dg-do run", 'dg-additional-sources "a.c b.c"', "dg-additional-files data.txt",
                    'dg-set-target-env-var NAME "some value"', "dg-timeout-factor 2.5", 'dg-shouldfail "it ends badly"')
        self.assertEqual(made.sources, ["a.c", "b.c"])
        self.assertEqual(made.files, ["data.txt"])
        self.assertEqual(made.environment, {"NAME": "some value"})
        self.assertEqual(made.timeout_factor, 2.5)
        self.assertTrue(made.fails)

    def test_requirements(self):
        self.assertIsNone(plan("dg-do run", "dg-require-effective-target lp64", 'dg-require-weak ""').skip)
        self.assertEqual(plan("dg-do run", "dg-require-effective-target ilp32").skip,
                         "dg-require-effective-target ilp32")
        self.assertIsNone(plan("dg-do run", "dg-require-effective-target arm_neon_ok { target arm*-*-* }").skip)

    def test_skip_if_looks_at_target_and_options(self):
        wanted = 'dg-skip-if "" { ! run_expensive_tests } { "*" } { "-O0" "-O2" }'
        self.assertIsNone(plan("dg-do run", wanted).skip)
        self.assertEqual(plan("dg-do run", wanted, configured=["-O3"]).skip, "dg-skip-if")
        self.assertEqual(plan("dg-do run", 'dg-skip-if "" *-*-* "-O2"').skip, "dg-skip-if")
        self.assertIsNone(plan("dg-do run", 'dg-skip-if "" *-*-* { "-O3" "-O2 -g" } { "" }').skip)
        self.assertEqual(plan("dg-do run", 'dg-options "-g"', 'dg-skip-if "" *-*-* { "-O3" "-O2 -g" }').skip,
                         "dg-skip-if")
        self.assertIsNone(plan("dg-do run", 'dg-skip-if "" avr-*-*').skip)

    def test_what_is_not_understood_is_named(self):
        self.assertEqual(plan("dg-do run", "dg-no-such x").unknown, "dg-no-such")
        self.assertEqual(plan("dg-do run", "dg-require-effective-target odd").unknown,
                         "dg-require-effective-target odd")
        self.assertEqual(plan("dg-do run", 'dg-options "-a').unknown, "dg-options")

    def test_the_test_s_own_wish_comes_before_what_is_not_understood(self):
        made = plan("dg-do run", "dg-no-such x", "dg-require-effective-target ilp32")
        self.assertEqual(made.skip, "dg-require-effective-target ilp32")


class Alternates(unittest.TestCase):
    def apply(self, script):
        made = directives.Plan("run", ["-a"])
        alternate.apply(made, script, selector.Target(cpu=set()))
        return made

    def test_options_are_added_or_set(self):
        self.assertEqual(self.apply('lappend additional_flags "-b" "-c"\nreturn 0').all_options(), ["-a", "-b", "-c"])
        self.assertEqual(self.apply("set additional_flags -b\nreturn 0").all_options(), ["-b"])

    def test_conditions_decide(self):
        script = 'if {[istarget "%s"] && ! [check_effective_target_ia32]} {\n# why\nreturn 1\n}\nreturn 0\n'
        self.assertIsNotNone(self.apply(script % "x86_64-*-*").skip)
        self.assertIsNone(self.apply(script % r"i?86-*-freebsd*\[123\]\.*").skip)
        branches = "if { [check_effective_target_ia32] } { return 1 } else { lappend additional_flags -b }\n"
        self.assertEqual(self.apply(branches).all_options(), ["-a", "-b"])

    def test_a_call_that_is_not_known_matters_only_if_it_decides(self):
        self.assertIsNone(self.apply('if {[istarget "avr-*-*"] && ![odd x]} { return 1 }\nreturn 0').unknown)
        self.assertIn("odd", self.apply("if [odd x] { return 1 }\nreturn 0").unknown)
        self.assertIn("exec", self.apply("exec ls").unknown)


class Kinds(unittest.TestCase):
    def test_the_table_is_read(self):
        self.assertTrue(all(kind.reason for kind in kinds.read()))

    def test_a_line_that_is_none_is_refused(self):
        for line in ("a | error | b", "a | guess | b | c"):
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(line + "\n")
                file.flush()
                with self.assertRaises(ValueError):
                    kinds.read(file.name)

    def test_a_refusal_is_known_by_its_text(self):
        error = "jitctl: a.o: section 5 '.tbss': 4 bytes of thread-local data; thread-local data is not supported yet"
        self.assertEqual(kinds.of_error(kinds.read(), error).name, "thread-local")
        error = "jitctl: a.o:.text+0x7: R_X86_64_TLSGD against 'i': this type is not supported"
        self.assertEqual(kinds.of_error(kinds.read(), error).name, "thread-local")
        self.assertIsNone(kinds.of_error(kinds.read(), error.replace("TLSGD", "SIZE32")))
        self.assertIsNone(kinds.of_error(kinds.read(), "jitctl: undefined symbol 'thread'"))
        self.assertIsNone(kinds.of_error(kinds.read(), ""))


if __name__ == "__main__":
    unittest.main()
