/** Templates: machines that others are made from, and that stay as they are. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { Bundle } from '../../library/identity.ts'

/**
 * @param refused what it does not do, or what is not done to it: "it does not start"
 * @throws AppError `wrong-state` for a template
 */
export function refuseTemplate({ config, name }: Pick<Bundle, 'config' | 'name'>, refused: string): void {
  if (config?.template)
    throw new AppError(
      'wrong-state',
      `“${name}” is a template: ${refused}. Make a new machine from it, or make it an ordinary machine again.`,
      { subject: name },
    )
}
