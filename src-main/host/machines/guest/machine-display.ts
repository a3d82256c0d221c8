/** Screens: a viewer's stream joined to the engine's, and pictures of them. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { joinStreams } from './machine-console.ts'
import type { Machine } from '../machine.ts'
import { sendBytes } from './send-bytes.ts'
import type { Session } from '../running/session.ts'

/**
 * @param stream the viewer's: RFB 3.8; it ends when the machine goes off
 * @throws AppError `wrong-state` where the machine is off
 */
export async function openDisplay(machine: Machine, stream: ByteStream): Promise<void> {
  const { session, stream: engine } = await openEngineDisplay(machine)
  void joinStreams(engine, stream, session, 'Showing the screen')
}

/**
 * The engine's stream for one more viewer, from RFB's first byte on.
 * @throws AppError `wrong-state` where the machine is off, `unsupported` where it has no screen
 */
export async function openEngineDisplay(machine: Machine): Promise<{ session: Session; stream: ByteStream }> {
  const session = runningSession(machine)
  await session.race(session.built)
  const { stream } = await session.race(session.engine.display({ machine: session.machine }))
  return { session, stream }
}

/** Sends a PNG file and ends the stream; as openDisplay. */
export async function sendScreenshot(machine: Machine, stream: ByteStream): Promise<{ bytes: number }> {
  const session = runningSession(machine)
  await session.race(session.built)
  const { png } = await session.race(session.engine.screenshot({ machine: session.machine }))
  return sendBytes(png, stream, 'Sending the picture of the screen')
}

function runningSession({ session, bundle }: Machine): Session {
  if (!session || session.end) throw new AppError('wrong-state', `“${bundle.name}” is not running: its screen is dark. Start it first.`)
  return session
}
