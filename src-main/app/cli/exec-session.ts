/** A program in a guest on this process's standard input, output and error output. */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { DisposableStore } from '../../../src-shared/base/disposable.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { ExecFrames, type ExecEnd } from '../../../src-shared/model/exec-frames.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'

/** Characters of each output that a result in JSON has. */
export const KEPT_TEXT = 16 * MiB
/** ms after which people are told what is waited for. */
const WAITING_MS = 3000
/** A process cannot end with more: the system keeps eight bits. */
const MAX_EXIT = 255
const SIGNALLED = 128

export interface ExecSessionOptions {
  /** For sentences. */
  machine: string
  stream: ByteStream
  /** Null: it was promised none. */
  input: Readable | null
  /** Null: kept as text instead. */
  output: { out: Writable; err: Writable } | null
  /** Standard input has not ended yet, so that the program has not begun. */
  waiting: () => void
  /** Its abort ends the session: the program is killed. */
  interruption: AbortSignal
}

export interface ExecSessionEnd extends ExecEnd {
  /** Empty where they were printed. */
  stdout: string
  stderr: string
}

/**
 * Until the program has ended.
 * @throws AppError `cancelled` at an interruption, `wrong-state` where the machine stops first, or what the host says
 */
export async function execSession(options: ExecSessionOptions): Promise<ExecSessionEnd> {
  const { stream, input, interruption, machine } = options
  const store = new DisposableStore()
  const stop = (): void => stream.close()
  if (interruption.aborted) stop()
  else interruption.addEventListener('abort', stop, { once: true })
  store.defer(() => interruption.removeEventListener('abort', stop))
  if (input) sendInput(input, options, store)
  try {
    const ended = await readFrames(options)
    if (interruption.aborted) throw new AppError('cancelled', `Interrupted: the program in “${machine}” is killed.`)
    if (!ended) throw new AppError('wrong-state', `“${machine}” stopped before the program had ended.`)
    return ended
  } finally {
    store.dispose()
  }
}

/** What the process of the command line ends with. Pure. */
export function exitCodeOf({ exitCode, signal }: ExecEnd): number {
  if (exitCode !== null) return exitCode >= 0 && exitCode <= MAX_EXIT ? exitCode : MAX_EXIT
  return Math.min(MAX_EXIT, SIGNALLED + (signal ?? 0))
}

async function readFrames({ stream, output }: ExecSessionOptions): Promise<ExecSessionEnd | null> {
  const frames = new ExecFrames()
  const texts = { out: new KeptText(), err: new KeptText() }
  let end: ExecEnd | null = null
  for await (const bytes of stream) {
    for (const frame of frames.push(bytes)) {
      if (frame.kind === 'end') end = frame.end
      else if (!output) texts[frame.kind].push(frame.bytes)
      else if (!output[frame.kind].write(frame.bytes)) await once(output[frame.kind], 'drain')
    }
  }
  if (!end) return null
  const truncated = end.truncated || texts.out.truncated || texts.err.truncated
  return { ...end, truncated, stdout: texts.out.text, stderr: texts.err.text }
}

/** Listeners, not iteration: leaving an iteration destroys the stream. What fails to be written the other direction tells. */
function sendInput(input: Readable, { stream, waiting }: ExecSessionOptions, store: DisposableStore): void {
  const timer = setTimeout(waiting, WAITING_MS)
  const onData = (chunk: Buffer): void => {
    input.pause()
    stream.write(chunk).then(
      () => input.resume(),
      () => {},
    )
  }
  const onEnd = (): void => {
    clearTimeout(timer)
    stream.end()
  }
  input.on('data', onData)
  for (const event of ['end', 'error'] as const) input.on(event, onEnd)
  store.defer(() => {
    clearTimeout(timer)
    input.pause()
    input.off('data', onData)
    for (const event of ['end', 'error'] as const) input.off(event, onEnd)
  })
}

/** UTF-8 across chunks, up to KEPT_TEXT. */
class KeptText {
  #decoder = new TextDecoder()
  text = ''
  truncated = false

  push(bytes: Uint8Array): void {
    if (this.truncated) return
    this.text += this.#decoder.decode(bytes, { stream: true })
    if (this.text.length <= KEPT_TEXT) return
    this.text = this.text.slice(0, KEPT_TEXT)
    this.truncated = true
  }
}
