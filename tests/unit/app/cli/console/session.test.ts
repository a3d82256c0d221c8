import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { QUIET_MS, runSession, type SessionEnd, type SessionOptions } from '../../../../../src-main/app/cli/console/session.ts'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { WireByteStream } from '../../../../../src-shared/rpc/byte-stream.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** Two streams back to back: ours and the guest's. */
function streams(): [WireByteStream, WireByteStream] {
  const make = (peer: () => WireByteStream): WireByteStream =>
    new WireByteStream({
      data: (bytes) => queueMicrotask(() => peer().receiveData(bytes)),
      credit: (bytes) => queueMicrotask(() => peer().receiveCredit(bytes)),
      end: () => queueMicrotask(() => peer().receiveEnd()),
      close: () => queueMicrotask(() => peer().receiveClose()),
    })
  const near: WireByteStream = make(() => far)
  const far: WireByteStream = make(() => near)
  return [near, far]
}

function begin(options: Partial<SessionOptions> = {}): {
  guest: WireByteStream
  input: PassThrough
  ended: Promise<SessionEnd>
  printed(): Promise<string>
} {
  const [stream, guest] = streams()
  const input = new PassThrough()
  const output = new PassThrough()
  const ended = runSession({
    machine: 'web',
    stream,
    scrollback: 0,
    showScrollback: false,
    until: null,
    timeout: null,
    interactive: false,
    input,
    output,
    plain: false,
    ...options,
  })
  ended.catch(() => {})
  const printed = (): Promise<string> => {
    output.end()
    return text(output)
  }
  return { guest, input, ended, printed }
}

/** Lets everything that is under way arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a piped session', () => {
  it('types what comes in, prints what comes after attaching, and ends at the match', async () => {
    const { guest, input, ended, printed } = begin({ until: /^42/gm, scrollback: 9 })
    await guest.write(utf8('42 old\r\n#'))
    input.write('echo 42\n')
    expect(await guest.read()).toEqual(utf8('echo 42\n'))
    await guest.write(utf8(' echo 42\r\n'))
    await guest.write(utf8('42\r\n'))
    expect(await ended).toEqual({ why: 'matched', match: '42', text: ' echo 42\n42\n' })
    expect(await printed()).toBe(' echo 42\r\n42\r\n')
    await settle()
    expect(guest.closed).toBe(true)
  })

  it('goes on after the input has ended while a match is waited for', async () => {
    const { guest, input, ended } = begin({ until: /done/gm })
    input.end()
    await settle()
    vi.advanceTimersByTime(10 * QUIET_MS)
    await guest.write(utf8('done'))
    expect((await ended).why).toBe('matched')
  })

  it('ends when the input has ended and the guest is quiet', async () => {
    const { guest, input, ended, printed } = begin()
    await guest.write(utf8('one '))
    await settle()
    vi.advanceTimersByTime(10 * QUIET_MS)
    input.end('ls\n')
    await settle()
    vi.advanceTimersByTime(QUIET_MS - 1)
    await guest.write(utf8('two'))
    await settle()
    vi.advanceTimersByTime(QUIET_MS - 1)
    await settle()
    vi.advanceTimersByTime(1)
    expect((await ended).why).toBe('quiet')
    expect(await printed()).toBe('one two')
  })

  it('ends when the machine stops', async () => {
    const { guest, ended } = begin()
    guest.end()
    expect((await ended).why).toBe('stopped')
  })

  it('fails when the machine stops before the match', async () => {
    const { guest, ended } = begin({ until: /done/gm })
    guest.end()
    await expect(ended).rejects.toMatchObject({ code: 'wrong-state', message: '“web” stopped before it printed a match for done.' })
  })

  it('fails when the match does not come in time', async () => {
    const { guest, ended } = begin({ until: /done/gm, timeout: 30_000 })
    await guest.write(utf8('not yet'))
    await settle()
    vi.advanceTimersByTime(30_000)
    await expect(ended).rejects.toMatchObject({
      code: 'timeout',
      message: '“web” printed no match for done within 30 s.',
      details: { technical: 'not yet' },
    })
  })

  it('prints plain text where it is asked to', async () => {
    const { guest, ended, printed } = begin({ plain: true })
    await guest.write(utf8('\u001b[1m# \u001b[6nok\r\n'))
    guest.end()
    await ended
    expect(await printed()).toBe('# ok\n')
  })

  it('passes a Ctrl-] on', async () => {
    const { guest, input } = begin()
    input.write('\u001d')
    expect(await guest.read()).toEqual(utf8('\u001d'))
  })
})

describe('a session on a terminal', () => {
  it('shows what was printed before, types up to Ctrl-] and detaches', async () => {
    const { guest, input, ended, printed } = begin({ interactive: true, showScrollback: true, scrollback: 8 })
    await guest.write(utf8('boot\u001b[6n'))
    await guest.write(utf8(' \u001b[1mok'))
    await settle()
    input.write('ls\u001dnot this')
    expect((await ended).why).toBe('detached')
    expect(await guest.read()).toEqual(utf8('ls'))
    expect(await printed()).toBe('boot \u001b[1mok')
  })
})
