/** Where the planner writes what it finds wrong: all of it, each at its field as machine.json has it. */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'

export class Report {
  readonly problems: FieldError[] = []
  readonly warnings: FieldError[] = []

  /** The machine cannot run so. */
  problem(path: string, message: string): void {
    this.problems.push({ path, message })
  }
  /** It can run, and somebody may wonder. */
  warning(path: string, message: string): void {
    this.warnings.push({ path, message })
  }
}
