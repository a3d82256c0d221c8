/** What ends by force around machines on QEMU: the process, what supervises it, the host; in the middle of things, too. What is shown, and kept. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import { coppice, type Ran } from '../../support/coppice.ts'
import { echoDisk } from '../../support/echo-disk.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { attach, testHost, type TestHost } from '../machines/support/test-host.ts'

/** MiB: enough that saving it takes a moment. */
const MEMORY = 64

let folder: string
let runtime: string
let runtimeBefore: string | undefined

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'q-')))
  runtime = join(folder, 'r')
  await mkdir(runtime, { mode: 0o700 })
  await writeFile(join(folder, 'echo.img'), echoDisk())
  runtimeBefore = process.env['XDG_RUNTIME_DIR']
  process.env['XDG_RUNTIME_DIR'] = runtime
})
afterEach(async () => {
  for (const pid of ours()) process.kill(pid, 'SIGKILL')
  if (runtimeBefore === undefined) delete process.env['XDG_RUNTIME_DIR']
  else process.env['XDG_RUNTIME_DIR'] = runtimeBefore
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** Processes whose command line names the test's folder or its machines' sockets. */
function ours(pattern = folder): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 }).split('\n')
  return lines.flatMap((line) => {
    const [, pid, args] = /^\s*(\d+) (.*)$/.exec(line) ?? []
    return args?.includes(pattern) && /^\S*(qemu-system|swtpm)/.test(args) ? [Number(pid)] : []
  })
}
const machineFolders = async (): Promise<string[]> =>
  (await readdir(join(runtime, 'coppice')).catch(() => [])).filter((name) => name.startsWith('vm-'))
/** Of the one machine that runs. */
const qemuPid = async (): Promise<number> => {
  const [name] = await machineFolders()
  return (JSON.parse(await readFile(join(runtime, 'coppice', name!, 'machine.json'), 'utf8')) as { pid: number }).pid
}
const nothingLeft = async (): Promise<void> => {
  await expect.poll(() => ours()).toEqual([])
  await expect.poll(machineFolders).toEqual([])
}

describe.skipIf(!QEMU_PROGRAM || process.platform !== 'linux')('ended by force', () => {
  describe('in a host that lives', () => {
    const open = (): Promise<TestHost> => testHost({ doubles: {}, library: join(folder, 'library') })
    const make = async (host: TestHost, tpm = false): Promise<string> => {
      const source = { kind: 'disk', path: join(folder, 'echo.img') } as const
      const { result } = await host.done(host.machines.create({ name: 'echo', source, engine: 'qemu', memoryMiB: MEMORY, tpm }))
      return result!.id!
    }
    const echoes = async (host: TestHost, id: string, word: string): Promise<string> => {
      const console = await attach(host, id, 0)
      await console.until('A')
      await console.type(word)
      const text = await console.until(word)
      console.stream.close()
      return text
    }

    /** From here on. @returns the thread that supervises QEMU now */
    const watchSupervisor = (): (() => Worker) => {
      const threads: Worker[] = []
      const see = (worker: Worker): void => void threads.push(worker)
      process.on('worker', see)
      onTestFinished(() => void process.off('worker', see))
      return () => threads.findLast(({ threadName }) => threadName === 'coppice-qemu')!
    }

    test('QEMU: what happened, with its status and last words; the log is kept, nothing else, and it starts again', async () => {
      const host = await open()
      const id = await make(host)
      await host.machines.start({ id })
      await echoes(host, id, 'before')
      process.kill(await qemuPid(), 'SIGKILL')
      const view = await host.until(id, ({ state }) => state === 'crashed')
      expect(view.lastError).toMatchObject({
        code: 'crashed',
        message:
          'QEMU was killed (by another program, or because the computer ran out of memory) while it ran this machine. The machine’s disks are as the guest last wrote them. Start it again.',
        details: { technical: 'exit status -, signal SIGKILL' },
      })
      await nothingLeft()
      expect(await readFile(join(view.bundle, 'logs/serial0.log'), 'latin1')).toContain('before')
      await host.machines.start({ id })
      await echoes(host, id, 'again')
      process.kill(await qemuPid(), 'SIGTERM')
      expect((await host.until(id, ({ state }) => state === 'crashed')).lastError?.details?.technical).toMatch(/terminating on signal 15/)
      await host.machines.start({ id })
      await host.machines.powerOff({ id })
      await nothingLeft()
    })

    test('QEMU with a TPM: swtpm ends with it, and its state is the same at the next start', async ({ skip }) => {
      const host = await open()
      const { problems } = await host.machines.considerNew({ engine: 'qemu', arch: 'x86_64', tpm: true, source: { kind: 'disk' } })
      if (problems.length > 0) return skip(problems[0]!.message)
      const id = await make(host, true)
      await host.machines.start({ id })
      await echoes(host, id, 'x')
      expect(ours()).toHaveLength(2)
      process.kill(await qemuPid(), 'SIGKILL')
      await host.until(id, ({ state }) => state === 'crashed')
      await nothingLeft()
      await host.machines.start({ id })
      await host.machines.powerOff({ id })
      await nothingLeft()
    })

    test('QEMU while it starts, at any moment: the start fails with a sentence, and the next one does not', async () => {
      const host = await open()
      const id = await make(host)
      for (const delay of [0, 5, 20, 50, 100]) {
        const starting = host.machines.start({ id }).then(
          () => null,
          (error: { message: string }) => error.message,
        )
        const pids = await someone()
        await sleep(delay)
        for (const pid of pids) process.kill(pid, 'SIGKILL')
        const said = await starting
        if (said === null) await host.until(id, ({ state }) => state === 'crashed')
        else expect(said).toMatch(/^QEMU (did not start the machine: it was killed|was killed)|QEMU ended/)
        expect((await host.machines.get({ id })).lastError?.message).toMatch(/killed|ended/)
        await nothingLeft()
      }
      await host.machines.start({ id })
      await echoes(host, id, 'on')
    })

    test('QEMU while it is suspended: it has crashed, and nothing half-written is left', async () => {
      const host = await open()
      const id = await make(host)
      await host.machines.start({ id })
      await echoes(host, id, 'x')
      const pid = await qemuPid()
      // It answers nothing more, and then is gone.
      const suspending = host.done(host.machines.suspend({ id }))
      process.kill(pid, 'SIGSTOP')
      const failing = expect(suspending).rejects.toMatchObject({ code: 'crashed', message: expect.stringContaining('killed') as string })
      process.kill(pid, 'SIGKILL')
      await failing
      const view = await host.until(id, ({ state }) => state === 'crashed')
      expect(await readdir(view.bundle)).not.toContain('suspend.new')
      expect(view.suspendedAt).toBeNull()
      await nothingLeft()
      await host.machines.start({ id })
      await echoes(host, id, 'on')
    })

    test('what supervises it: the machine runs on, is taken over with its console and its screen, and says so', async () => {
      const thread = watchSupervisor()
      const host = await open()
      const id = await make(host)
      await host.machines.start({ id })
      await echoes(host, id, 'first')
      const pid = await qemuPid()
      await thread().terminate()
      const view = await host.until(id, ({ lastError, state }) => lastError !== null && state === 'running')
      expect(view.lastError!.message).toBe('What supervises “echo” failed and was started again. The machine ran on.')
      expect(await qemuPid()).toBe(pid)
      expect(await echoes(host, id, 'second')).toMatch(/A[\s\S]*first[\s\S]*second/)
      const { stream } = await host.machines.display({ id })
      expect(Buffer.from((await stream.read())!).toString()).toBe('RFB 003.008\n')
      stream.close()
      await host.machines.powerOff({ id })
      await nothingLeft()
    })

    test('what supervises it while it is suspended: it goes on running; one that was paused stays so', async () => {
      const thread = watchSupervisor()
      const host = await open()
      const id = await make(host)
      const { bundle } = await host.machines.start({ id })
      await echoes(host, id, 'first')
      for (const state of ['running', 'paused'] as const) {
        if (state === 'paused') await host.machines.pause({ id })
        const { task } = await host.machines.suspend({ id })
        while (!(await readdir(bundle)).includes('suspend.new')) await sleep(1)
        await sleep(5)
        await thread().terminate()
        expect(await host.tasks.wait({ id: task })).toMatchObject({ state: 'failed' })
        await host.until(id, (view) => view.state === state && view.lastError?.code === 'crashed')
        await expect.poll(() => readdir(bundle)).not.toContain('suspend.new')
      }
      await host.machines.resume({ id })
      expect(await echoes(host, id, 'second')).toMatch(/A[\s\S]*first[\s\S]*second/)
      await host.machines.powerOff({ id })
      await nothingLeft()
    })

    test('what supervises it while it starts, at any moment: it is off, or runs; nothing else is left, and it starts', async () => {
      const thread = watchSupervisor()
      const host = await open()
      const id = await make(host)
      for (const delay of [0, 40]) {
        const starting = host.machines.start({ id }).catch(() => {})
        await someone()
        await sleep(delay)
        await thread().terminate()
        await starting
        const { state } = await host.until(id, (view) => ['crashed', 'running', 'paused'].includes(view.state))
        if (state === 'crashed') {
          await nothingLeft()
          await host.machines.start({ id })
        } else if (state === 'paused') await host.machines.resume({ id })
        await echoes(host, id, `after-${delay}`)
        await host.machines.powerOff({ id })
        await nothingLeft()
      }
    })

    /** The processes of the machine that is being started. */
    const someone = async (): Promise<number[]> => {
      for (;;) {
        const pids = ours()
        if (pids.length > 0) return pids
        await sleep(1)
      }
    }
  })

  // Each command is a process of its own.
  describe('the host', { timeout: 180_000 }, () => {
    let env: Record<string, string>
    beforeEach(async () => {
      env = { COPPICE_LIBRARY: join(folder, 'library'), XDG_RUNTIME_DIR: runtime, COPPICE_STATE: join(folder, 'state') }
      const made = await run('create', 'echo', '--disk', join(folder, 'echo.img'), '--engine', 'qemu', '--memory', `${MEMORY}M`)
      expect(made).toMatchObject({ code: 0, stderr: '' })
    })
    afterEach(() => run('quit', '--force'))

    const run = (...args: string[]): Promise<Ran> => coppice(args, { env })
    const show = async (): Promise<MachineView> => JSON.parse((await run('show', 'echo', '--json')).stdout) as MachineView
    const echoes = async (word: string): Promise<void> => {
      const answer = await coppice(['console', 'echo', '--until', word, '--timeout', '30'], { env, input: word })
      expect(answer).toMatchObject({ code: 0, stderr: '' })
    }
    /** Of the host that has the library. */
    const hostClaim = async (): Promise<{ pid: number; ending: boolean }> => {
      const places = await readdir(join(runtime, 'coppice'), { recursive: true })
      const claims = places.filter((name) => /host-\d+\.json$/.test(name)).sort((one, other) => numberOf(one) - numberOf(other))
      return JSON.parse(await readFile(join(runtime, 'coppice', claims.at(-1)!), 'utf8')) as { pid: number; ending: boolean }
    }
    const hostPid = async (): Promise<number> => (await hostClaim()).pid
    const numberOf = (claim: string): number => Number(/host-(\d+)\.json$/.exec(claim)![1])
    const killHost = async (pid: number): Promise<void> => {
      process.kill(pid, 'SIGKILL')
      await expect.poll(() => alive(pid)).toBe(false)
    }
    const alive = (pid: number): boolean => {
      try {
        process.kill(pid, 0)
        return !/^\d+ \(.*\) Z/.test(execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' }))
      } catch {
        return false
      }
    }

    test('while a machine runs: the next one goes on with it, its console and its screen; a clean quit leaves nothing', async () => {
      expect(await run('start', 'echo')).toMatchObject({ code: 0 })
      await echoes('first')
      const pid = await qemuPid()
      await killHost(await hostPid())
      expect(ours()).toEqual([pid])
      expect(await show()).toMatchObject({ state: 'running', engine: 'qemu', lastError: null })
      expect(await qemuPid()).toBe(pid)
      await echoes('second')
      expect(await run('screenshot', 'echo', join(folder, 'screen.png'))).toMatchObject({ code: 0 })
      // Its picture, and its console's text of both lives.
      expect((await readFile(join(folder, 'screen.png'))).subarray(1, 4).toString()).toBe('PNG')
      expect(await readFile(join(folder, 'library/echo.coppice/logs/serial0.log'), 'latin1')).toMatch(/A[\s\S]*first[\s\S]*second/)
      expect(await run('quit')).toMatchObject({ code: 0 })
      await nothingLeft()
      expect(await show()).toMatchObject({ state: 'suspended' })
      expect(await run('resume', 'echo')).toMatchObject({ code: 0 })
      await echoes('third')
      expect(await run('quit', '--force')).toMatchObject({ code: 0 })
      await nothingLeft()
    })

    test('while it is ending, nobody is served by it any more: who comes then is served by the next one', async () => {
      expect(await run('start', 'echo')).toMatchObject({ code: 0 })
      await echoes('first')
      const pid = await hostPid()
      const qemu = await qemuPid()
      // Its end takes as long as we like.
      process.kill(qemu, 'SIGSTOP')
      process.kill(pid, 'SIGTERM')
      await expect.poll(() => hostClaim().then(({ ending }) => ending)).toBe(true)
      const resuming = run('resume', 'echo')
      await sleep(2000)
      process.kill(qemu, 'SIGCONT')
      const resumed = await resuming
      expect(resumed).toMatchObject({ code: 0, stderr: expect.stringContaining(`Coppice (process ${pid}) is ending`) as string })
      expect(alive(pid)).toBe(false)
      await echoes('second')
      expect(await run('stop', 'echo', '--force')).toMatchObject({ code: 0 })
      await nothingLeft()
    })

    test('while it starts a machine, at any moment: it is off, or runs; nothing else is left, and it starts', async () => {
      for (const delay of [0, 10, 60]) {
        await run('list')
        const starting = run('start', 'echo')
        for (let pids: number[] = []; pids.length === 0; pids = ours()) await sleep(1)
        await sleep(delay)
        await killHost(await hostPid())
        expect((await starting).code).not.toBeNull()
        const { state } = await show()
        expect(['off', 'running', 'paused']).toContain(state)
        if (state === 'off') {
          await nothingLeft()
          expect(await run('start', 'echo')).toMatchObject({ code: 0, stderr: '' })
        } else if (state === 'paused') expect(await run('resume', 'echo')).toMatchObject({ code: 0, stderr: '' })
        await echoes(`after-${delay}`)
        expect(await run('stop', 'echo', '--force')).toMatchObject({ code: 0 })
        await nothingLeft()
      }
    })

    test('while it takes a machine over, at any moment: the one after it goes on', async () => {
      expect(await run('start', 'echo')).toMatchObject({ code: 0 })
      await echoes('first')
      const pid = await qemuPid()
      for (const delay of [0, 40, 150]) {
        const before = await hostPid()
        await killHost(before)
        const listing = run('list')
        await expect.poll(hostPid, { timeout: 30_000, interval: 5 }).not.toBe(before)
        await sleep(delay)
        await killHost(await hostPid())
        await listing
        expect(await show()).toMatchObject({ state: 'running' })
        await echoes(`after-${delay}`)
        expect(await qemuPid()).toBe(pid)
      }
      const log = await readFile(join(folder, 'library/echo.coppice/logs/serial0.log'), 'latin1')
      expect(log).toMatch(/[\s\S]*first[\s\S]*after-0[\s\S]*after-40[\s\S]*after-150$/)
      expect(await run('stop', 'echo', '--force')).toMatchObject({ code: 0 })
      await nothingLeft()
    })

    test('while it suspends or resumes a machine, at any moment: what the guest had in mind is not lost', async () => {
      expect(await run('start', 'echo')).toMatchObject({ code: 0 })
      await echoes('first')
      for (const [action, delay] of [
        ['suspend', 30],
        ['resume', 60],
        ['suspend', 120],
        ['resume', 150],
      ] as const) {
        const before = await show()
        if (action === 'resume' && before.state !== 'suspended') expect(await run('suspend', 'echo')).toMatchObject({ code: 0 })
        const pid = await hostPid()
        const acting = run(action, 'echo')
        const known = await readdir(join(folder, 'library/echo.coppice'))
        for (let now = known; now.join() === known.join() && ours().length === (action === 'resume' ? 0 : 1);) {
          await sleep(1)
          now = await readdir(join(folder, 'library/echo.coppice'))
        }
        await sleep(delay)
        await killHost(pid)
        await acting
        const { state } = await show()
        expect(['running', 'suspended']).toContain(state)
        if (state !== 'running') expect(await run('resume', 'echo')).toMatchObject({ code: 0, stderr: '' })
        await echoes(`${action}-${delay}`)
        // It did not start anew.
        const log = await readFile(join(folder, 'library/echo.coppice/logs/serial0.log'), 'latin1')
        expect(log.match(/A/g)).toHaveLength(1)
      }
    })
  })
})
