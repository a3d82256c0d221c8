/** Runs a program that never ends, given as the argument, as the search does; its parent ends it in the middle. */
import { runProgram } from '../../../src-main/engines/qemu/find/run-program.ts'

await runProgram({ program: process.argv[2]!, args: [], limit: 600_000 })
