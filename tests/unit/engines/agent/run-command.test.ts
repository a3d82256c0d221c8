import { afterEach, describe, expect, test } from 'vitest'
import { AgentClient } from '../../../../src-main/engines/agent/agent-client.ts'
import { MAX_INPUT, runCommand } from '../../../../src-main/engines/agent/run-command.ts'
import type { GuestCommand } from '../../../../src-shared/model/guest-command.ts'
import { collect } from '../../../guest/support/exec.ts'
import { AgentDouble } from '../../../support/agent-double.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { streamPair } from '../../../support/stream-pair.ts'

let opened: { dispose(): void }[] = []
withLeakCheck()
afterEach(() => {
  for (const one of opened) one.dispose()
  opened = []
})

const COMMAND: GuestCommand = { path: 'cat', args: ['-', 'ü'], env: ['A=b'], input: false, limitMs: null }

function start(change: Partial<GuestCommand> = {}) {
  const agent = new AgentDouble()
  const client = new AgentClient(agent)
  opened.push(client, agent)
  const [near, far] = streamPair()
  return { agent, stream: near, begin: () => runCommand(client, { ...COMMAND, ...change }, far) }
}

const started = ({ requests }: AgentDouble) => requests.filter(({ execute }) => execute === 'guest-exec').map(({ arguments: args }) => args)

describe('a command', () => {
  test('goes to the agent as it is, and what it printed and how it ended come back', async () => {
    const { agent, stream, begin } = start()
    void begin()
    expect(await collect(stream)).toMatchObject({ exitCode: 3, signal: null, truncated: false, out: 'out', err: 'err' })
    expect(started(agent)).toEqual([{ path: 'cat', arg: ['-', 'Ã¼'], env: ['A=b'], 'capture-output': true }])
  })

  test('gets its input whole', async () => {
    const { agent, stream, begin } = start({ input: true })
    void begin()
    await stream.write(Buffer.from('one '))
    expect(started(agent)).toEqual([])
    await stream.write(Buffer.from('two'))
    stream.end()
    await collect(stream)
    expect(started(agent)).toMatchObject([{ 'input-data': Buffer.from('one two').toString('base64') }])
  })

  test('with more input than an agent takes is not begun', async () => {
    const { agent, stream, begin } = start({ input: true })
    void begin()
    stream.write(new Uint8Array(MAX_INPUT + 1)).catch(() => {})
    await expect(collect(stream)).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('1 MiB') as string })
    expect(started(agent)).toEqual([])
  })

  test('is killed when its time is over, with all that it started; the agent is asked until it has forgotten both', async () => {
    const { agent, stream, begin } = start({ limitMs: 10 })
    agent.answers.set('guest-exec-status', { return: { exited: false } })
    void begin()
    const ended = collect(stream).catch((error: unknown) => error)
    await expect.poll(() => started(agent)).toHaveLength(2)
    agent.answers.delete('guest-exec-status')
    expect(await ended).toMatchObject({ code: 'timeout', message: expect.stringContaining('was killed') as string })
    expect(started(agent)[1]).toMatchObject({ path: '/bin/sh', arg: ['-c', expect.stringContaining('kill -KILL') as string, '7'] })
    expect(agent.requests.slice(-2)).toMatchObject([{ execute: 'guest-exec-status' }, { execute: 'guest-exec-status' }])
  })

  test('that cannot be killed is said to run on', async () => {
    const { agent, stream, begin } = start({ limitMs: 300 })
    agent.answers.set('guest-exec-status', { return: { exited: false } })
    void begin()
    const ended = collect(stream).catch((error: unknown) => error)
    await expect.poll(() => started(agent)).toHaveLength(1)
    agent.answers.set('guest-exec', { error: 'there is no /bin/sh' })
    expect(await ended).toMatchObject({ code: 'timeout', message: expect.stringContaining('may still run') as string })
  })

  test('is killed when its caller goes away', async () => {
    const { agent, stream, begin } = start()
    agent.answers.set('guest-exec-status', { return: { exited: false } })
    const done = begin()
    await expect.poll(() => started(agent)).toHaveLength(1)
    stream.close()
    await expect.poll(() => started(agent)).toHaveLength(2)
    agent.answers.delete('guest-exec-status')
    await done
  })
})
