import type { z } from 'zod'
import type { FieldError } from './app-error.ts'

/** A schema's complaints as field errors: a sentence for each field, with its path. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String)
    if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message: sentence(issue.message) }]
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: `There is no field “${key}”.` }))
  })
}

/** zod's own messages have no full stop; several are shown one after the other. */
function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}
