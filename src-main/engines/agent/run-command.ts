/** Runs a command in a guest through its agent, for somebody at the other end of a stream. */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { GuestCommand } from '../../../src-shared/model/guest-command.ts'
import { encodeEnd, encodeOutput } from '../../../src-shared/model/exec-frames.ts'
import type { AgentClient } from './agent-client.ts'
import { followCommand } from './follow-command.ts'

/** Bytes of standard input: it goes to the agent whole, before the command starts. */
export const MAX_INPUT = 1 * MiB

/**
 * @param stream its bytes are the command's standard input up to their end (none are waited for without `input`); it gets exec frames,
 *   and ends after the last or with an error. Closed from the other side, the command is killed.
 */
export async function runCommand(agent: AgentClient, command: GuestCommand, stream: ByteStream): Promise<void> {
  try {
    const input = command.input ? await readInput(stream) : new Uint8Array()
    // Its caller went away before it had said all.
    if (stream.closed) return
    const { pid } = await agent.call('guest-exec', {
      path: command.path,
      arg: command.args,
      env: command.env,
      ...(input.length > 0 ? { 'input-data': Buffer.from(input).toString('base64') } : {}),
      'capture-output': true,
    })
    const end = await followCommand(agent, pid, command.limitMs, {
      // Nobody may read it any more: that is for the next question to find.
      take: (kind, bytes) => stream.write(encodeOutput(kind, bytes)).catch(() => {}),
      get closed() {
        return stream.closed
      },
      onClose: stream.onClose,
    })
    if (end) await stream.write(encodeEnd(end))
    stream.end()
  } catch (error) {
    stream.close(asAppError(error, 'Running a command in the guest'))
  }
}

async function readInput(stream: ByteStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const bytes of stream) {
    length += bytes.length
    if (length > MAX_INPUT)
      throw new AppError(
        'unsupported',
        `A command’s standard input can have ${MAX_INPUT / MiB} MiB at most. Put larger data on a disk or a shared folder.`,
      )
    parts.push(bytes)
  }
  return concatBytes(parts)
}
