/** Runs a program in a guest through its agent, as the host does. */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { ExecFrames, type ExecEnd } from '../../../src-shared/model/exec-frames.ts'
import type { Guest } from './guest.ts'

export interface ExecOptions {
  env?: string[]
  input?: Uint8Array
  limitMs?: number
}

export interface Executed extends ExecEnd {
  out: string
  err: string
  outBytes: Uint8Array
}

export async function exec({ engine, machine }: Guest, [path, ...args]: string[], options: ExecOptions = {}): Promise<Executed> {
  const { env = [], input, limitMs = null } = options
  const command = { path: path!, args, env, input: input !== undefined, limitMs }
  const { stream } = await engine.exec({ machine, command })
  if (input) void stream.write(input).then(() => stream.end())
  return collect(stream)
}

/** @throws the stream's error, or where it ends before the command did */
export async function collect(stream: ByteStream): Promise<Executed> {
  const frames = new ExecFrames()
  const parts = { out: [] as Uint8Array[], err: [] as Uint8Array[] }
  let end: ExecEnd | null = null
  for await (const bytes of stream) {
    for (const frame of frames.push(bytes)) {
      if (frame.kind === 'end') end = frame.end
      else parts[frame.kind].push(frame.bytes)
    }
  }
  if (!end) throw new Error('The stream ended before the command did.')
  const outBytes = concatBytes(parts.out)
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
  return { ...end, out: text(outBytes), err: text(concatBytes(parts.err)), outBytes }
}
