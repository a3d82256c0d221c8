/** By the command line alone: a 64-bit machine on QEMU from an empty library to a shell, through everything that its power can do. */
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { MachineSample } from '../../src-shared/api/metrics.ts'
import { coppice, type Ran } from '../support/coppice.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'

/** ms for a guest that boots twice, and is suspended, on a busy computer. */
const LIMIT = 600_000

describe.skipIf(!QEMU_PROGRAM)('coppice, with QEMU', { timeout: LIMIT }, () => {
  let folder: string
  let env: Record<string, string>

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'cli-q-')))
    env = { COPPICE_LIBRARY: join(folder, 'library'), XDG_RUNTIME_DIR: folder, COPPICE_STATE: join(folder, 'state') }
  })
  afterAll(async () => {
    await run('quit', '--force')
    await rm(folder, { recursive: true })
  })

  const run = (...args: string[]): Promise<Ran> => coppice(args, { env })
  const fine = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args)
    expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' })
    return stdout
  }
  const show = async (): Promise<MachineView> => JSON.parse(await fine('show', 'b', '--json')) as MachineView
  /** Types a line into the shell and waits for a line of output. */
  const ask = async (line: string, until: string): Promise<string> => {
    const answer = await coppice(['console', 'b', '--until', until, '--timeout', '120'], { env, input: `${line}\n` })
    expect(answer).toMatchObject({ code: 0, stderr: '' })
    return answer.stdout
  }

  test('makes one with two processors, boots it to a shell, and does with it what can be done', async () => {
    const made = await run('create', 'b', '--sample', '--engine', 'qemu', '--cpus', '2', '--memory', '512M')
    expect(made).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^b: created in /) as string })
    expect(await fine('start', 'b', '--wait')).toBe('b: running, booted\n')
    await ask('echo "$(uname -m) $(nproc) $(($(grep MemTotal /proc/meminfo | tr -dc 0-9) / 1024 > 400))"', '^x86_64 2 1')

    const view = await show()
    expect(view).toMatchObject({ state: 'running', engine: 'qemu', problem: null, lastError: null, config: { arch: 'x86_64', cpus: 2 } })
    expect(['kvm', 'hvf', 'whpx', 'tcg']).toContain(view.accelerator)
    expect(view.why).toMatch(/^You chose QEMU\. QEMU runs it .*\.$/)

    const figures = JSON.parse(await fine('metrics', 'b', '--json')) as MachineSample
    expect(figures.memoryBytes).toBeGreaterThan(64 * 1024 * 1024)

    expect(await fine('pause', 'b')).toBe('b: paused\n')
    expect((await show()).state).toBe('paused')
    expect(await fine('resume', 'b')).toBe('b: running\n')

    await ask('MARK=kept-$((6 * 7)); echo "set-$MARK"', '^set-kept-42')
    expect(await fine('suspend', 'b')).toBe('b: suspended\n')
    expect(await show()).toMatchObject({ state: 'suspended', suspendedAt: expect.any(String) as string })
    expect(await fine('resume', 'b')).toBe('b: running\n')
    await ask('echo "<$MARK>"', '^<kept-42>')
    // The agent in the guest tells an address that the guest was just given. (The guest's own search for a network, which is ended here, may take
    // it away again.)
    await ask('kill -KILL $(pidof udhcpc); ip address replace 10.9.8.7/24 dev eth0 && ip link set eth0 up && echo "plug""ged"', '^plugged')
    await expect.poll(async () => (await show()).addresses, { timeout: 60_000, interval: 1000 }).toContain('10.9.8.7')

    expect(await fine('reset', 'b')).toBe('b: reset\n')
    expect(await fine('start', 'b', '--wait')).toBe('b: running, booted\n')
    await ask('echo "[$MARK]"', '^\\[\\]')

    // The power button, then the plug.
    expect(await fine('stop', 'b')).toBe('b: off\n')
    expect(await fine('start', 'b')).toBe('b: running\n')
    expect(await fine('stop', 'b', '--force')).toBe('b: off\n')
    expect((await readdir(join(folder, 'coppice'))).filter((name) => name.startsWith('vm-'))).toEqual([])
  })
})
