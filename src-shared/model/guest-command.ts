/** A program to run in a guest, through its agent. */
import { z } from 'zod'

/** Text that can be a program's argument. */
const argument = z
  .string()
  .max(64 * 1024)
  .refine((text) => !text.includes('\0'), 'An argument cannot have a byte of zero in it.')
/** A program to run in a guest; nothing is interpreted by a shell. */
export const guestCommandSchema = z.strictObject({
  path: argument.min(1, 'Name the program to run.'),
  args: z.array(argument).max(1024),
  /** "NAME=value" */
  env: z
    .array(argument.regex(/^[A-Za-z_][A-Za-z0-9_]*=/, 'Write it as NAME=value.'))
    .max(256)
    .default([]),
  /** Whether the stream's bytes up to its end are the program's standard input; it is empty otherwise. */
  input: z.boolean(),
  /** Killed then. */
  limitMs: z.number().positive().nullable(),
})
export type GuestCommand = z.output<typeof guestCommandSchema>
