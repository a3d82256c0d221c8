/** The search on this computer: programs, firmware and accelerators as they are here, and programs that are none. */
import { execFile, spawn } from 'node:child_process'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { searchQemu } from '../../../src-main/engines/qemu/find/find-qemu.ts'
import { thisComputer, type Computer } from '../../../src-main/engines/qemu/find/computer.ts'
import { probe } from '../../../src-main/engines/qemu/find/probe/probe.ts'
import { readProgram } from '../../../src-main/engines/qemu/find/read-program.ts'
import { MAX_MESSAGES, runProgram, type RunProgram } from '../../../src-main/engines/qemu/find/run-program.ts'
import { HostThread } from '../../../src-main/host/threads/thread.ts'
import { processStart } from '../../../src-main/process/process-start.ts'
import { qemuFactsSchema, type QemuFacts, type QemuProgram } from '../../../src-shared/model/engine-facts.ts'
import type { Arch } from '../../../src-shared/model/machine.ts'
import { qemuThread } from '../../../src-shared/threads/qemu-thread.ts'
import { memoryLog } from '../../support/memory-log.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const exec = promisify(execFile)

/** Nothing can be kept in it. */
const NO_FOLDER = join(import.meta.filename, 'none')
const here = await searchQemu({ resources: '/nowhere', cacheFolder: NO_FOLDER, refresh: true }, thisComputer(), runProgram)
const programFor = (arch: Arch): QemuProgram | undefined => here.programs.find((program) => program.arch === arch)

describe.skipIf(!here.found)('the QEMU that is installed here (skipped where there is none)', () => {
  test('the facts are what its own lists say', async () => {
    expect(qemuFactsSchema.parse(here)).toEqual(here)
    for (const { path, version, machineTypes, devices } of here.programs) {
      expect((await exec(path, ['--version'])).stdout).toContain(version)
      const machines = (await exec(path, ['-machine', 'help'])).stdout
      for (const line of machines.split('\n').slice(1)) {
        const [name = '', alias] = [line.split(/\s+/)[0], /\(alias of (.*?)\)/.exec(line)?.[1]]
        if (name === '' || name === 'none') continue
        expect(machineTypes.some((type) => (alias === undefined ? type.name === name : type.alias === name && type.name === alias))).toBe(
          true,
        )
      }
      const listed = [...(await exec(path, ['-device', 'help'])).stdout.matchAll(/^name "(.*?)"/gm)].map(([, name]) => name!)
      expect(listed.length).toBeGreaterThan(50)
      expect(listed.filter((name) => !devices.includes(name))).toEqual([])
    }
  })

  test('TCG runs the test program of every processor for which there is one', async () => {
    for (const arch of ['x86_64', 'aarch64'] as const) {
      const program = programFor(arch)
      if (program) expect(await probe(program, 'tcg', 30_000, runProgram)).toMatchObject({ kind: 'works' })
    }
    expect(here.accelerators.at(-1)).toMatchObject({ name: 'tcg', usable: true })
  })

  test('on the ordinary board too', async () => {
    const program = programFor('x86_64')
    if (program) expect(await probe({ ...program, machineTypes: [] }, 'tcg', 30_000, runProgram)).toMatchObject({ kind: 'works' })
  })

  test('a guest that does not come to its end is slow, not working', async () => {
    const program = programFor('x86_64')
    if (!program) return
    // It halts at once, and never ends.
    const endless: RunProgram = async (run) => {
      const image = run.args[run.args.indexOf('-bios') + 1]!
      await writeFile(image, new Uint8Array(0x10000).fill(0xf4))
      return runProgram(run)
    }
    expect(await probe(program, 'tcg', 500, endless)).toMatchObject({ kind: 'slow' })
  })

  test('an accelerator that is not in this QEMU fails with its words', async () => {
    const program = programFor('x86_64')
    if (!program) return
    const foreign = process.platform === 'darwin' ? 'whpx' : 'hvf'
    expect(await probe(program, foreign, 20_000, runProgram)).toEqual({
      kind: 'fails',
      message: expect.stringContaining(foreign) as string,
    })
  })

  test('firmware that it describes is there, each kind once for each processor at the least', () => {
    for (const { code, format } of here.firmware)
      expect([code.startsWith('/') || /^[A-Z]:/.test(code), format]).toEqual([true, expect.any(String)])
    const first = (kind: string, arch: Arch): string | undefined =>
      here.firmware.find((one) => one.kind === kind && one.arch === arch)?.code
    if (first('uefi-secure', 'x86_64')) expect(first('uefi-secure', 'x86_64')).not.toBe(first('uefi', 'x86_64'))
  })

  test('its thread finds the same, and the second time from the cache', async () => {
    const thread = new HostThread('qemu', { log: memoryLog() })
    try {
      const cacheFolder = await tempFolder()
      const ask = (): Promise<QemuFacts> => thread.rpc.service(qemuThread).find({ resources: '/nowhere', cacheFolder })
      const [one, two] = await Promise.all([ask(), ask()])
      expect(one.programs).toEqual(here.programs)
      expect(two).toEqual(one)
      expect(await ask()).toEqual(one)
    } finally {
      await thread.terminate()
    }
  })
})

describe.skipIf(process.platform === 'win32')('programs that are none', () => {
  const script = async (text: string): Promise<string> => {
    const path = join(await tempFolder(), 'qemu-system-x86_64')
    await writeFile(path, `#!/bin/sh\n${text}\n`)
    await chmod(path, 0o755)
    return path
  }

  test('one that hangs is ended, whatever it has started', async () => {
    const { end, ms } = await runProgram({ program: await script('sleep 2 & sleep 2'), args: [], limit: 200 })
    expect(end).toBe('limit')
    expect(ms).toBeGreaterThanOrEqual(199)
  })

  test('one that says too much is ended', async () => {
    expect(await readProgram(await script('exec yes'), 'x86_64', runProgram)).toBe('It said more than any QEMU would.')
    const { messages } = await runProgram({ program: await script('yes | head -c 300000 >&2'), args: [], limit: 20_000 })
    expect(messages).toHaveLength(MAX_MESSAGES)
  })

  test('one that reads nothing, and one that cannot be started', async () => {
    expect(await readProgram(await script('exit 3'), 'x86_64', runProgram)).toBe('It ended with status 3.')
    expect(await readProgram('/nowhere/qemu', 'x86_64', runProgram)).toMatch(/^It could not be started\./)
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('one that hangs ends with the process that ran it, be that ended by %s', async (signal) => {
    const program = await script('echo $$ > pid.new; mv pid.new pid; exec sleep 600')
    const runner = spawn(process.execPath, [join(import.meta.dirname, 'run-child.ts'), program], { stdio: 'ignore' })
    const pid = (): Promise<number> => readFile(join(dirname(program), 'pid'), 'utf8').then(Number, () => 0)
    await expect.poll(pid, { timeout: 20_000 }).toBeGreaterThan(0)
    expect(await processStart(await pid())).not.toBeNull()
    runner.kill(signal)
    await expect.poll(async () => processStart(await pid()), { timeout: 20_000 }).toBeNull()
  })

  test('one that ends by itself leaves nobody who waits for it', async () => {
    const program = await script('exit 3')
    expect(await runProgram({ program, args: [], limit: 20_000 })).toMatchObject({ end: 'exit', code: 3 })
    const left = async (): Promise<string> => (await exec('ps', ['-A', '-o', 'args'])).stdout
    await expect.poll(left).not.toContain(program)
  })

  test('no shell reads its arguments, and nothing of our environment is in its own', async () => {
    process.env['COPPICE_SECRET'] = 'secret'
    const { output } = await runProgram({ program: await script('printf "%s|" "$@"; env'), args: ['$(id)', 'a b'], limit: 20_000 })
    delete process.env['COPPICE_SECRET']
    expect(output.startsWith('$(id)|a b|')).toBe(true)
    expect(output).not.toContain('secret')
  })

  test('in PATH such a one is passed over', async () => {
    const path = await script('echo hello')
    const computer: Computer = { ...thisComputer(), env: { PATH: `${dirname(path)}:${process.env['PATH'] ?? ''}` } }
    const facts = await searchQemu({ resources: '/nowhere', cacheFolder: await tempFolder(), refresh: false }, computer, runProgram)
    expect(facts.tried).toContain(`${path}: It is no QEMU, or one that does not start.`)
    expect(facts.programs.map((program) => program.path)).toEqual(here.programs.map((program) => program.path))
  })
})
