import { afterEach, describe, expect, test, vi } from 'vitest'
import { AgentClient, FIRST_SYNC_TIME, MAX_BYTES, MAX_OUTPUT_LINE } from '../../../../src-main/engines/agent/agent-client.ts'
import { AgentDouble, type Behaviour } from '../../../support/agent-double.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'

let opened: { dispose(): void }[] = []
withLeakCheck()
afterEach(() => {
  vi.useRealTimers()
  for (const one of opened) one.dispose()
  opened = []
})

function agent(behaviour: Behaviour = 'good'): { agent: AgentDouble; client: AgentClient } {
  const double = new AgentDouble(behaviour)
  const client = new AgentClient(double)
  opened.push(client, double)
  return { agent: double, client }
}

/** In step while it still behaved. */
async function turned(behaviour: Behaviour): Promise<ReturnType<typeof agent>> {
  const made = agent()
  await made.client.call('guest-ping')
  made.agent.behaviour = behaviour
  return made
}

describe('an agent', () => {
  test('is greeted when its port opens, and present while it is open', async () => {
    const { agent: double, client } = agent()
    const seen: boolean[] = []
    client.onPresence((present) => seen.push(present))
    await expect.poll(() => client.present).toBe(true)
    double.setOpen(false)
    expect(client.present).toBe(false)
    await expect(client.call('guest-ping')).rejects.toMatchObject({ code: 'unavailable' })
    double.setOpen(true)
    await expect.poll(() => client.present).toBe(true)
    expect(seen).toEqual([true, false, true])
  })

  test('answers calls in turn, and refuses in its own words', async () => {
    const { agent: double, client } = agent()
    double.answers.set('guest-exec', { error: 'not allowed' })
    const answers = await Promise.allSettled([client.call('guest-fsfreeze-freeze'), client.call('guest-exec'), client.call('guest-ping')])
    expect(answers).toMatchObject([
      { value: 2 },
      { reason: { code: 'unsupported', message: 'The guest’s agent refused “guest-exec”: not allowed' } },
      { value: {} },
    ])
    const asked = double.requests.map(({ execute }) => execute)
    expect(asked).toEqual(['guest-sync-delimited', 'guest-fsfreeze-freeze', 'guest-exec', 'guest-ping'])
  })

  test('whose guest goes away in the middle fails the call at once', async () => {
    const { agent: double, client } = await turned('silent')
    const call = client.call('guest-ping')
    setImmediate(() => double.setOpen(false))
    await expect(call).rejects.toMatchObject({ code: 'disconnected' })
  })
})

describe('a hostile agent', () => {
  test.each<[Behaviour, RegExp]>([
    ['garbage', /something that is no answer/],
    ['shapeless', /something that is no answer/],
    ['flood', /something that is no answer/],
    ['huge', /far more than belongs to it/],
    ['many', /far more than belongs to it/],
    ['endless', /far more than belongs to it/],
  ])('that sends %s is told in a sentence, and is in step again when it behaves', async (behaviour, sentence) => {
    const { agent: double, client } = await turned(behaviour)
    const failed = client.call('guest-network-get-interfaces')
    await expect(failed).rejects.toMatchObject({ code: 'corrupt', message: expect.stringMatching(sentence) as string })
    double.behaviour = 'good'
    expect(await client.call('guest-fsfreeze-status')).toBe('thawed')
    expect(double.sent).toBeLessThan(MAX_BYTES)
  })

  test('that answers a command’s output without end is cut off, and nothing is taken from it unasked', async () => {
    const { agent: double, client } = await turned('huge')
    await expect(client.call('guest-exec-status', { pid: 1 })).rejects.toMatchObject({ code: 'corrupt' })
    const { sent } = double
    expect(sent).toBeGreaterThan(MAX_OUTPUT_LINE)
    expect(sent).toBeLessThan(MAX_BYTES)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(double.sent).toBe(sent)
  })

  test.each<Behaviour>(['flood', 'endless'])('that sends %s from the beginning is listened to for so many bytes', async (behaviour) => {
    const { agent: double, client } = agent(behaviour)
    const call = client.call('guest-ping')
    await expect(call).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining('without end') as string })
    expect(client.present).toBe(false)
    // Once for the greeting, once for the call.
    expect(double.sent).toBeLessThan(2 * MAX_BYTES + 2 ** 20)
  })

  test.each<Behaviour>(['silent', 'strangers', 'half'])('that is %s is waited for so long, and is not there then', async (behaviour) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { agent: double, client } = agent(behaviour)
    const call = client.call('guest-network-get-interfaces').catch((error: unknown) => error)
    for (let at = 0; at < 4; at++) {
      await new Promise((resolve) => setImmediate(resolve))
      await vi.advanceTimersByTimeAsync(FIRST_SYNC_TIME)
    }
    // It answered the greeting, which is all that there is to see.
    expect(await call).toMatchObject({ code: behaviour === 'half' ? 'timeout' : 'unavailable' })
    expect(client.present).toBe(behaviour === 'half')
    vi.useRealTimers()
    double.behaviour = 'good'
    expect(await client.call('guest-fsfreeze-freeze')).toBe(2)
    expect(client.present).toBe(true)
  })
})
