/**
 * The one error type that people see. A stable code for programs, a sentence for people (what happened, to what, what to do),
 * details for the log and for "which field", and the cause. It crosses every wire unchanged (toWire, fromWire).
 */
export type ErrorCode =
  | 'invalid-input' // a value is wrong; `fields` says which
  | 'not-found'
  | 'already-exists'
  | 'wrong-state' // legal, but not now (start a running machine)
  | 'unsupported' // this engine, host or build cannot do it
  | 'unavailable' // something needed is missing (apt, a browser, a port)
  | 'denied' // not allowed here (terminal in served mode)
  | 'busy' // another operation has it
  | 'cancelled'
  | 'timeout'
  | 'no-space'
  | 'io' // the file system said no
  | 'corrupt' // a file is not what it should be
  | 'newer-version' // written by a newer Coppice
  | 'crashed' // a thread, guest or process died
  | 'disconnected' // the other end of the wire is gone
  | 'internal' // a fault of ours

/** One wrong field: `path` as in the object ("drives.0.path"), `message` a sentence that names the offending value. */
export interface FieldError {
  path: string
  message: string
}

export interface ErrorDetails {
  fields?: FieldError[]
  /** What the error is about: a path, a machine's name, a method. */
  subject?: string
  /** Technical text for the details view and the log: a stack, a system error, the tail of an output. */
  technical?: string
}

/** The plain form that crosses wires and rests in task records. */
export interface WireError {
  code: ErrorCode
  message: string
  details?: ErrorDetails
}

export class AppError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AppError'
    this.code = code
    this.details = details
  }

  static invalid(fields: FieldError[]): AppError {
    return new AppError('invalid-input', fields.map((field) => field.message).join(' '), { fields })
  }

  static cancelled(): AppError {
    return new AppError('cancelled', 'The operation was cancelled.')
  }

  toWire(): WireError {
    const cause = this.cause instanceof Error ? (this.cause.stack ?? this.cause.message) : undefined
    const technical = this.details.technical ?? cause
    return {
      code: this.code,
      message: this.message,
      ...(technical !== undefined || Object.keys(this.details).length > 0
        ? { details: { ...this.details, ...(technical === undefined ? {} : { technical }) } }
        : {}),
    }
  }

  static fromWire(wire: WireError): AppError {
    return new AppError(wire.code, wire.message, wire.details ?? {})
  }
}

/**
 * Any thrown value as an AppError. System errors become sentences; what nobody foresaw becomes `internal`, its stack kept in
 * the details and out of the sentence.
 * @param doing what was being done, as the start of a sentence: "Writing machine.json"
 */
export function asAppError(error: unknown, doing?: string): AppError {
  if (error instanceof AppError) return error
  if (error instanceof Error) {
    if (error.name === 'AbortError') return AppError.cancelled()
    const system = error as Error & { code?: string; path?: string }
    const known = system.code === undefined ? undefined : SYSTEM_ERRORS[system.code]
    if (known) {
      const subject = system.path
      const what = `${doing ?? 'The operation'}${subject === undefined ? '' : ` (${subject})`} failed: ${known[1]}`
      return new AppError(known[0], what, { ...(subject === undefined ? {} : { subject }) }, error)
    }
    return new AppError('internal', `${doing ?? 'The operation'} failed unexpectedly: ${firstLine(error.message)}`, {}, error)
  }
  return new AppError('internal', `${doing ?? 'The operation'} failed unexpectedly.`, { technical: String(error) })
}

const SYSTEM_ERRORS: Record<string, [ErrorCode, string]> = {
  ENOENT: ['not-found', 'the file or folder does not exist.'],
  EEXIST: ['already-exists', 'there is already something of that name.'],
  EACCES: ['denied', 'you have no permission for it.'],
  EPERM: ['denied', 'the system does not permit it.'],
  EROFS: ['denied', 'the file system is read-only.'],
  ENOSPC: ['no-space', 'the disk is full. Free some space and try again.'],
  EDQUOT: ['no-space', 'your disk quota is used up. Free some space and try again.'],
  EMFILE: ['io', 'too many files are open.'],
  ENOTDIR: ['invalid-input', 'a part of the path is not a folder.'],
  EISDIR: ['invalid-input', 'it is a folder, not a file.'],
  ENAMETOOLONG: ['invalid-input', 'the name is too long for this file system.'],
  EADDRINUSE: ['unavailable', 'another program uses that port. Choose another port, or 0 for any free one.'],
  EIO: ['io', 'the disk reported a read or write error.'],
}

function firstLine(text: string): string {
  const line = text.split('\n', 1)[0] ?? ''
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
