import { z } from 'zod'

type Bare<T> = T extends z.ZodDefault<infer Inner> | z.ZodPrefault<infer Inner> ? Inner : T

/**
 * The schema of a change to an object with this shape: every field may be absent, and an absent field stays absent. (zod's own `partial()`
 * fills in the fields' defaults, so that a change of one field would silently reset all the others.) Unknown fields are refused.
 */
export function patchSchema<Shape extends Record<string, z.ZodType>>(shape: Shape) {
  const fields = Object.entries(shape).map(([name, field]) => {
    const bare = field instanceof z.ZodDefault || field instanceof z.ZodPrefault ? (field.unwrap() as z.ZodType) : field
    return [name, bare.optional()]
  })
  return z.strictObject(Object.fromEntries(fields) as { [K in keyof Shape]: z.ZodOptional<Bare<Shape[K]>> })
}
