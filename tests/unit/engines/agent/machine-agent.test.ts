import { afterEach, describe, expect, test, vi } from 'vitest'
import { MachineAgent } from '../../../../src-main/engines/agent/machine-agent.ts'
import { collect } from '../../../guest/support/exec.ts'
import { AgentDouble } from '../../../support/agent-double.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { streamPair } from '../../../support/stream-pair.ts'

let opened: { dispose(): void }[] = []
withLeakCheck()
afterEach(() => {
  vi.useRealTimers()
  for (const one of opened) one.dispose()
  opened = []
})

/** Its agent has answered. */
async function machine(
  goesOn = false,
  change: (agent: AgentDouble) => void = () => {},
  unmountsShares = false,
): Promise<{ agent: AgentDouble; machine: MachineAgent }> {
  const agent = new AgentDouble()
  change(agent)
  const made = new MachineAgent(agent, goesOn, unmountsShares)
  opened.push(made, agent)
  await expect.poll(() => made.present).toBe(true)
  return { agent, machine: made }
}

/** Without what only brings both ends in step. */
const asked = ({ requests }: AgentDouble): string[] =>
  requests.map(({ execute }) => execute.replace('guest-', '')).filter((name) => name !== 'sync-delimited' && name !== 'ping')

describe('a machine without the port', () => {
  test('is refused every wish, and goes on and shuts down without', async () => {
    const made = new MachineAgent(null)
    opened.push(made)
    for (const wish of [() => made.interfaces(), () => made.freeze(), () => made.thaw(), () => made.setTime(Date.now)])
      await expect(wish()).rejects.toMatchObject({ code: 'unavailable' })
    await made.wentOn()
    const button = vi.fn(async () => {})
    await made.shutDown(button)
    expect(button).toHaveBeenCalledOnce()
  })
})

describe('the clock', () => {
  test('is set when the machine goes on, to the nanosecond’s digits', async () => {
    const { agent, machine: made } = await machine()
    const before = Date.now()
    await made.wentOn()
    const text = JSON.stringify(agent.requests.find(({ execute }) => execute === 'guest-set-time')?.arguments)
    const ms = Number(/"time":(\d+)/.exec(text)![1]) / 1e6
    expect(ms).toBeGreaterThanOrEqual(before - 1)
    expect(ms).toBeLessThanOrEqual(Date.now() + 1)
  })

  test('is set as soon as an agent comes, where none was there when the machine went on', async () => {
    const { agent, machine: made } = await machine()
    agent.setOpen(false)
    await made.wentOn()
    expect(asked(agent)).toEqual([])
    agent.setOpen(true)
    await expect.poll(() => asked(agent)).toEqual(['set-time'])
  })

  test('of a guest that does not allow it is left alone', async () => {
    const { agent, machine: made } = await machine(false, (double) => double.answers.set('guest-set-time', { error: 'no right' }))
    await made.wentOn()
    agent.setOpen(false)
    agent.setOpen(true)
    await expect.poll(() => made.present).toBe(true)
    await made.interfaces()
    expect(asked(agent)).toEqual(['set-time', 'network-get-interfaces'])
  })
})

describe('shared folders', () => {
  /** What the script is run for, and the clock is set after. */
  const ran = ({ requests }: AgentDouble): string[] =>
    requests.flatMap(({ execute, arguments: args }) =>
      execute === 'guest-exec' ? [(args!['arg'] as string[])[3]!] : execute === 'guest-set-time' ? ['clock'] : [],
    )
  const prints = (agent: AgentDouble, text: string): unknown =>
    agent.answers.set('guest-exec-status', {
      return: { exited: true, exitcode: 0, 'out-data': Buffer.from(text).toString('base64') },
    })

  test('are unmounted for a suspend, stay so whatever the agent does, and are mounted again when the machine goes on', async () => {
    const { agent, machine: made } = await machine(false, (double) => prints(double, 'away\n'), true)
    await made.unmountShares()
    agent.setOpen(false)
    agent.setOpen(true)
    await expect.poll(() => made.present).toBe(true)
    await made.interfaces()
    expect(ran(agent)).toEqual(['away'])
    await made.wentOn()
    expect(ran(agent)).toEqual(['away', 'back', 'clock'])
    await made.wentOn()
    expect(ran(agent)).toEqual(['away', 'back', 'clock', 'clock'])
  })

  test('that are in use refuse it, and are mounted again at once', async () => {
    const { agent, machine: made } = await machine(false, (double) => prints(double, 'kept docs device busy\nholder 7 sh\n'), true)
    await expect(made.unmountShares()).rejects.toMatchObject({ code: 'busy', message: expect.stringContaining('sh (process 7)') as string })
    await expect.poll(() => ran(agent)).toEqual(['away', 'back'])
  })

  test('are left to the engine where no agent answers, or it may run no programs', async () => {
    const none = new MachineAgent(null, false, true)
    opened.push(none)
    await none.unmountShares()
    const { agent, machine: made } = await machine(false, (double) => double.answers.set('guest-exec', { error: 'disabled' }), true)
    await made.unmountShares()
    agent.setOpen(false)
    await made.unmountShares()
    agent.setOpen(true)
    await made.wentOn()
    expect(ran(agent)).toEqual(['away', 'clock'])
  })

  test('are mounted again by the next host, and tried again where that fails', async () => {
    const said = vi.spyOn(console, 'error').mockReturnValue()
    const { agent, machine: made } = await machine(true, (double) => prints(double, 'failed docs no such device\n'), true)
    await expect.poll(() => ran(agent)).toEqual(['back'])
    await expect.poll(() => said.mock.calls).toEqual([['The guest could not mount the shared folder “docs” again: no such device']])
    prints(agent, '')
    await made.wentOn()
    await made.wentOn()
    expect(ran(agent)).toEqual(['back', 'back', 'clock', 'clock'])
    said.mockRestore()
    // One without any is not asked.
    const { agent: other, machine: without } = await machine(true)
    await without.wentOn()
    expect(ran(other)).toEqual(['clock'])
  })

  test('of a guest that restarted are its own business', async () => {
    const { agent, machine: made } = await machine(false, (double) => prints(double, 'away\n'), true)
    await made.unmountShares()
    made.restarted()
    await made.wentOn()
    expect(ran(agent)).toEqual(['away', 'clock'])
  })

  test('are there for a program that is run as soon as the machine goes on', async () => {
    const { agent, machine: made } = await machine(false, (double) => prints(double, 'away\n'), true)
    await made.unmountShares()
    void made.wentOn()
    const [near, far] = streamPair()
    made.exec({ path: 'ls', args: [], env: [], input: false, limitMs: null }, far)
    await collect(near)
    expect(ran(agent)).toEqual(['away', 'back', 'clock', undefined])
  })
})

describe('file systems', () => {
  test('are held until they are let go; the clock is set then, if the machine stood still meanwhile', async () => {
    const { agent, machine: made } = await machine()
    expect(await made.freeze()).toBe(2)
    await made.wentOn()
    expect(asked(agent)).toEqual(['fsfreeze-freeze'])
    expect(await made.thaw()).toBe(2)
    await expect.poll(() => asked(agent)).toEqual(['fsfreeze-freeze', 'fsfreeze-thaw', 'set-time'])
  })

  test('that nobody lets go are let go after a minute', async () => {
    const { agent, machine: made } = await machine()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await made.freeze()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(asked(agent)).toEqual(['fsfreeze-freeze'])
    await vi.advanceTimersByTimeAsync(2000)
    while (asked(agent).length < 2) await new Promise((resolve) => setImmediate(resolve))
    expect(asked(agent)).toEqual(['fsfreeze-freeze', 'fsfreeze-thaw'])
    for (let at = 0; at < 5; at++) await new Promise((resolve) => setImmediate(resolve))
  })

  test('are let go where freezing them failed half-way', async () => {
    const { agent, machine: made } = await machine(false, (double) => {
      double.answers.set('guest-fsfreeze-freeze', { error: 'vfat' })
      double.answers.set('guest-fsfreeze-status', { return: 'frozen' })
    })
    await expect(made.freeze()).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('vfat') as string })
    expect(asked(agent)).toEqual(['fsfreeze-freeze', 'fsfreeze-status', 'fsfreeze-thaw'])
  })

  test('that an earlier host froze are let go when the machine is taken over', async () => {
    const { agent } = await machine(true, (double) => double.answers.set('guest-fsfreeze-status', { return: 'frozen' }))
    await expect.poll(() => asked(agent)).toEqual(['fsfreeze-status', 'fsfreeze-thaw'])
    const { agent: thawed } = await machine(true)
    await expect.poll(() => asked(thawed)).toEqual(['fsfreeze-status'])
  })

  test('do not keep a guest from shutting down', async () => {
    const { agent, machine: made } = await machine()
    await made.freeze()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const button = vi.fn(async () => {})
    const shutting = made.shutDown(button)
    for (let at = 0; at < 20; at++) await new Promise((resolve) => setImmediate(resolve))
    await vi.advanceTimersByTimeAsync(2000)
    await shutting
    expect(asked(agent)).toEqual(['fsfreeze-freeze', 'fsfreeze-thaw', 'shutdown'])
    expect(button).not.toHaveBeenCalled()
    // The agent took it, but the guest is still there.
    await vi.advanceTimersByTimeAsync(15_000)
    expect(button).toHaveBeenCalledOnce()
  })
})

describe('shutting down', () => {
  test.each<[string, (agent: AgentDouble) => void]>([
    ['an agent refuses', (agent) => agent.answers.set('guest-shutdown', { error: 'not now' })],
    ['its agent has hung', (agent) => (agent.behaviour = 'silent')],
  ])('presses the button where %s', async (_, change) => {
    const { agent, machine: made } = await machine()
    change(agent)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const button = vi.fn(async () => {})
    const shutting = made.shutDown(button)
    for (let at = 0; at < 20; at++) await new Promise((resolve) => setImmediate(resolve))
    await vi.advanceTimersByTimeAsync(3000)
    await shutting
    expect(button).toHaveBeenCalledOnce()
  })

  test('asked a second time, presses the button at once', async () => {
    const { machine: made } = await machine(false, (agent) => agent.answers.set('guest-shutdown', { return: {} }))
    const button = vi.fn(async () => {})
    await made.shutDown(button)
    expect(button).not.toHaveBeenCalled()
    await made.shutDown(button)
    expect(button).toHaveBeenCalledOnce()
  })
})
