import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { execSession, exitCodeOf, type ExecSessionOptions } from '../../../../src-main/app/cli/exec-session.ts'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { encodeEnd, encodeOutput } from '../../../../src-shared/model/exec-frames.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { streamPair } from '../../../support/stream-pair.ts'

const END = { exitCode: 0, signal: null, truncated: false }

function session(change: Partial<ExecSessionOptions> = {}) {
  const [stream, host] = streamPair()
  const abort = new AbortController()
  const options = { machine: 'a', stream, input: null, output: null, waiting: () => {}, interruption: abort.signal, ...change }
  return { host, abort, ended: execSession(options) }
}

describe('a program’s exit code as ours', () => {
  test.each([
    [{ exitCode: 0, signal: null }, 0],
    [{ exitCode: 255, signal: null }, 255],
    // Windows has 32 bits, of which none may make a failure look like success.
    [{ exitCode: 256, signal: null }, 255],
    [{ exitCode: -1_073_741_510, signal: null }, 255],
    [{ exitCode: null, signal: 9 }, 137],
    [{ exitCode: null, signal: 15 }, 143],
  ])('%j is %i', (end, code) => expect(exitCodeOf({ ...end, truncated: false })).toBe(code))
})

describe('a program’s session', () => {
  withLeakCheck()

  test('prints both outputs apart as they come, cut anywhere, and gives its input until it ends', async () => {
    const [input, out, err] = [new PassThrough(), new PassThrough(), new PassThrough()]
    const { host, ended } = session({ input, output: { out, err } })
    input.end('typed')
    let typed = ''
    for await (const bytes of host) typed += Buffer.from(bytes).toString()
    expect(typed).toBe('typed')
    const bytes = Buffer.concat([encodeOutput('out', utf8('ü1')), encodeOutput('err', utf8('e')), encodeOutput('out', utf8('2'))])
    for (const byte of bytes) await host.write(Uint8Array.of(byte))
    await host.write(encodeEnd({ ...END, exitCode: 4 }))
    host.end()
    expect(await ended).toMatchObject({ exitCode: 4, stdout: '', stderr: '' })
    out.end()
    err.end()
    expect([await text(out), await text(err)]).toEqual(['ü12', 'e'])
  })

  test('keeps the text of both for a result', async () => {
    const { host, ended } = session()
    const euro = utf8('€')
    await host.write(Buffer.concat([encodeOutput('out', euro.subarray(0, 2)), encodeOutput('out', euro.subarray(2)), encodeEnd(END)]))
    host.end()
    expect(await ended).toEqual({ ...END, stdout: '€', stderr: '' })
  })

  test('fails with the host’s reason, and where the machine stops first', async () => {
    const failed = session()
    failed.host.close(new AppError('timeout', 'The command did not end within 1 s and was killed.'))
    await expect(failed.ended).rejects.toMatchObject({ code: 'timeout' })
    const stopped = session()
    stopped.host.close()
    await expect(stopped.ended).rejects.toMatchObject({ code: 'wrong-state', message: '“a” stopped before the program had ended.' })
  })

  test('interrupted, closes its stream, which kills the program', async () => {
    const input = new PassThrough()
    const { host, abort, ended } = session({ input })
    abort.abort()
    await expect(ended).rejects.toMatchObject({ code: 'cancelled' })
    await expect.poll(() => host.closed).toBe(true)
    expect(input.listenerCount('data')).toBe(0)
  })
})
