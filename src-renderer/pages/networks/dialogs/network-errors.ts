/** At which fields of the dialogs stands what the host refused: it says where in a request, or in a network's document, something is wrong. Pure. */
import { AppError, asAppError, type FieldError } from '../../../../src-shared/errors/app-error.ts'

export type Subject = 'general' | 'dhcp' | 'dns' | 'rules' | 'watch'

const SUBJECTS: Record<string, Subject> = { dhcp: 'dhcp', dns: 'dns', policy: 'rules', watch: 'watch' }
/** Written as lines, each with a number. */
const LINES = ['dhcp.reservations', 'dns.records', 'watch.patterns']
/** Written in one field together. */
const LISTS = ['dns.upstream', 'dhcp.dns']

/** Of a network's settings: the error with the paths that their fields have, and the tab of the first. Null: no field is to blame. */
export function atFields(cause: unknown): { error: AppError; subject: Subject | null } {
  const error = asAppError(cause)
  const fields = (error.details.fields ?? []).map(fieldOf)
  const first = fields[0]
  if (!first) return { error, subject: null }
  return { error: AppError.invalid(fields), subject: SUBJECTS[first.path.split('.')[0]!] ?? 'general' }
}

/** Of one that is being added, wherever it would stand in the document. */
export function atForward(cause: unknown): AppError {
  const error = asAppError(cause)
  const fields = error.details.fields?.map(({ path, message }) => ({ path: path.replace(/^forwards\.\d+\./, 'forward.'), message }))
  return fields ? AppError.invalid(fields) : error
}

function fieldOf({ path: told, message }: FieldError): FieldError {
  const path = told.replace(/^patch\./, '')
  const lines = LINES.find((list) => path.startsWith(`${list}.`))
  if (lines) return { path: lines, message: `Line ${Number(path.slice(lines.length + 1).split('.')[0]) + 1}: ${message}` }
  const list = LISTS.find((one) => path.startsWith(`${one}.`))
  return { path: list ?? path, message }
}
