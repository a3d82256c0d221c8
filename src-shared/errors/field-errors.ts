import type { z } from 'zod'
import type { FieldError } from './app-error.ts'

/** A schema's complaints as field errors: one each, with its path. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String)
    if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message: issue.message }]
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: `There is no field “${key}”.` }))
  })
}
