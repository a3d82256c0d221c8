/** By the command line alone: from an empty library to a shell, suspended and resumed in a new host, and off again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appRoot } from '../../src-main/app/paths.ts'
import { coppice, type Ran } from '../support/coppice.ts'

let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'guest-cli-')))
  // The appliance comes from the cache of this computer: it is assembled once.
  env = { COPPICE_LIBRARY: join(folder, 'library'), XDG_RUNTIME_DIR: folder, COPPICE_STATE: join(folder, 'state') }
})
afterAll(async () => {
  await run('quit', '--force')
  await rm(folder, { recursive: true })
})

function run(...args: string[]): Promise<Ran> {
  return coppice(args, { env })
}

/** Types a line into the shell and waits for a line of output. */
async function ask(line: string, until: string): Promise<Ran> {
  return coppice(['console', 'a', '--until', until, '--timeout', '60'], { env, input: `${line}\n` })
}

async function state(): Promise<unknown> {
  const { stdout } = await run('show', 'a', '--json')
  return (JSON.parse(stdout) as { state: unknown }).state
}

test('makes, boots, uses, suspends, resumes in a new host and shuts down a machine', async () => {
  expect(await run('create', 'a', '--sample', '--engine', 'embedded')).toMatchObject({ code: 0, stderr: '' })
  expect(await run('start', 'a', '--wait')).toEqual({ code: 0, stdout: 'a: running, booted\n', stderr: '' })

  const answer = await ask('echo $((6*7))', '^42')
  expect(answer).toMatchObject({ code: 0, stderr: '' })
  expect(answer.stdout).toMatch(/^42\r$/m)

  // Nothing matches what was printed before: the same answer has to come again.
  const late = await coppice(['console', 'a', '--until', '^42', '--timeout', '1'], { env })
  expect(late).toMatchObject({ code: 1, stderr: 'coppice: “a” printed no match for ^42 within 1 s.\n' })

  // Without --until the session ends when the guest is quiet.
  const quiet = await coppice(['console', 'a'], { env, input: 'uname -s\n' })
  expect(quiet).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Linux\r$/m) as string })

  const figures = JSON.parse((await run('metrics', 'a', '--json')).stdout) as { memoryBytes: number; instructionsPerSecond: number }
  expect(figures.memoryBytes).toBeGreaterThan(16 * 1024 * 1024)

  // A variable of the shell lives in the guest's memory and nowhere else.
  expect(await run('type', 'a', 'KEPT=kept-$((40+2))\\n')).toMatchObject({ code: 0 })
  expect(await run('suspend', 'a')).toEqual({ code: 0, stdout: 'a: suspended\n', stderr: '' })
  expect(await run('stop', 'a')).toMatchObject({ code: 1, stderr: expect.stringContaining('is suspended') as string })
  expect(await run('quit')).toMatchObject({ code: 0 })

  expect(await run('resume', 'a')).toEqual({ code: 0, stdout: 'a: running\n', stderr: '' })
  expect(await ask('echo "<$KEPT>"', '^<kept-42>')).toMatchObject({ code: 0 })

  // Quitting suspends what runs; the next host goes on with it.
  expect(await run('quit')).toMatchObject({ code: 0 })
  expect(await state()).toBe('suspended')
  expect(await run('start', 'a')).toMatchObject({ code: 0 })
  expect(await ask('echo "[$KEPT]"', '^\\[kept-42\\]')).toMatchObject({ code: 0 })

  expect(await run('pause', 'a')).toMatchObject({ code: 0, stdout: 'a: paused\n' })
  expect(await state()).toBe('paused')

  // `stop` wakes a paused machine.
  expect(await run('stop', 'a')).toEqual({ code: 0, stdout: 'a: off\n', stderr: '' })
  expect(await state()).toBe('off')
})

test('stops a machine whose prompt was just seen, and one that has not booted', async () => {
  expect(await run('start', 'a', '--wait')).toMatchObject({ code: 0 })
  expect(await run('stop', 'a')).toEqual({ code: 0, stdout: 'a: off\n', stderr: '' })
  expect(await run('start', 'a')).toMatchObject({ code: 0 })
  expect(await run('stop', 'a')).toEqual({ code: 0, stdout: 'a: off\n', stderr: '' })
  expect(await run('start', 'a')).toMatchObject({ code: 0 })
  expect(await run('suspend', 'a')).toMatchObject({ code: 0 })
  expect(await run('stop', 'a', '--force')).toEqual({ code: 0, stdout: 'a: off\n', stderr: '' })
})

test.skipIf(process.platform !== 'linux')('a host whose machines are off is small again', async () => {
  for (let count = 0; count < 3; count++) {
    expect(await run('start', 'a')).toMatchObject({ code: 0 })
    expect(await run('stop', 'a', '--force')).toMatchObject({ code: 0 })
  }
  await expect.poll(hostMiB, { timeout: 30_000, interval: 1000 }).toBeLessThan(200)
})

/** Memory of this computer that the host holds, MiB. */
async function hostMiB(): Promise<number> {
  const claims = (await readdir(folder, { recursive: true })).filter((name) => /host-\d+\.json$/.test(name))
  const { pid } = JSON.parse(await readFile(join(folder, claims[0]!), 'utf8')) as { pid: number }
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

test('serve suspends what runs when it is ended', async () => {
  expect(await run('quit')).toMatchObject({ code: 0 })
  const served = spawn(join(appRoot, 'bin/coppice'), ['serve'], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  served.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const exited = once(served, 'exit')
  await once(served.stdout, 'data')
  expect(await run('start', 'a', '--wait')).toMatchObject({ code: 0 })
  served.kill('SIGINT')
  expect(await exited).toEqual([0, null])
  expect(said).toContain('“a” runs: suspending.')
  expect(await state()).toBe('suspended')
})

test('runs programs in it, and kills them', async () => {
  expect(await run('resume', 'a')).toMatchObject({ code: 0 })
  expect(await run('exec', 'a', '--', 'sh', '-c', 'echo out; echo wrong >&2; exit 7')).toEqual({
    code: 7,
    stdout: 'out\n',
    stderr: 'wrong\n',
  })
  expect(await coppice(['exec', 'a', '--', 'wc', '-c'], { env, input: 'four' })).toEqual({ code: 0, stdout: '4\n', stderr: '' })
  const told = await run('exec', 'a', '--env', 'WORD=a  b', '--json', '--', 'sh', '-c', 'echo "$WORD"; kill -TERM $$')
  expect(JSON.parse(told.stdout)).toMatchObject({ exitCode: 143, signal: null, stdout: 'a  b\n' })
  expect(told.code).toBe(143)
  expect(await run('exec', 'a', '--', 'no-such-program')).toMatchObject({ code: 127, stdout: '' })
  expect(await run('exec', 'a', '--timeout', '0.5', '--', 'sleep', '1234')).toEqual({
    code: 124,
    stdout: '',
    stderr: 'coppice: The command did not end within 0.5 s and was killed.\n',
  })

  const endless = spawn(join(appRoot, 'bin/coppice'), ['exec', 'a', '--', 'sh', '-c', 'sleep 1235 & echo begun; sleep 1236'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const exited = once(endless, 'exit')
  await once(endless.stdout, 'data')
  endless.kill('SIGINT')
  expect(await exited).toEqual([130, null])
  // All three are gone, and then what the agent kept of them.
  const gone = '! pidof sleep > /dev/null && [ $(ls /run/coppice-agent | wc -l) = 1 ]'
  const waited = await run('exec', 'a', '--timeout', '60', '--', 'sh', '-c', `until ${gone}; do usleep 100000; done`)
  expect(waited).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await run('suspend', 'a')).toMatchObject({ code: 0 })
})

test('a session ends when its machine does', async () => {
  expect(await run('resume', 'a')).toMatchObject({ code: 0 })
  const session = await coppice(['console', 'a', '--until', 'never printed', '--timeout', '120'], { env, input: 'poweroff\n' })
  expect(session).toMatchObject({ code: 1, stderr: 'coppice: “a” stopped before it printed a match for never printed.\n' })
  expect(await state()).toBe('off')
})
