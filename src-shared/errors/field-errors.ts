import type { z } from 'zod'
import type { FieldError } from './app-error.ts'

/** A schema's complaints as field errors: one each, with its path. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message }))
}
