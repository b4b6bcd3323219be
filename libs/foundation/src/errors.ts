/**
 * The catalogue of Kubernetes status reasons with the HTTP and gRPC codes they travel under.
 * Source: metav1.StatusReason in apimachinery; gRPC codes are Naru's choice, the nearest canonical one.
 */
export const reasons = {
  BadRequest: { http: 400, grpc: 3 },
  Unauthorized: { http: 401, grpc: 16 },
  Forbidden: { http: 403, grpc: 7 },
  NotFound: { http: 404, grpc: 5 },
  MethodNotAllowed: { http: 405, grpc: 12 },
  NotAcceptable: { http: 406, grpc: 3 },
  AlreadyExists: { http: 409, grpc: 6 },
  Conflict: { http: 409, grpc: 10 },
  Gone: { http: 410, grpc: 11 },
  Expired: { http: 410, grpc: 11 },
  RequestEntityTooLarge: { http: 413, grpc: 8 },
  UnsupportedMediaType: { http: 415, grpc: 3 },
  Invalid: { http: 422, grpc: 3 },
  TooManyRequests: { http: 429, grpc: 8 },
  InternalError: { http: 500, grpc: 13 },
  ServiceUnavailable: { http: 503, grpc: 14 },
  Timeout: { http: 504, grpc: 4 },
  ServerTimeout: { http: 500, grpc: 4 },
} as const;

export type Reason = keyof typeof reasons;

/** One entry of Status.details.causes: which field is wrong, and how. */
export interface StatusCause {
  /** Upstream's cause types: FieldValueInvalid, FieldValueRequired, FieldValueNotSupported, ... */
  reason?: string;
  message: string;
  /** A field path such as `spec.containers[0].image`. */
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** metav1.Status as it crosses the wire. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

/** The one error that crosses process borders. Branch on `reason`, never on the message. */
export class StatusError extends Error {
  readonly reason: Reason;
  readonly details: StatusDetails | undefined;
  /** HTTP status; differs from the reason's default only where upstream's does. */
  readonly code: number;

  constructor(
    reason: Reason,
    message: string,
    options: { cause?: unknown; details?: StatusDetails; code?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StatusError';
    this.reason = reason;
    this.details = options.details;
    this.code = options.code ?? reasons[reason].http;
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }

  /** Rebuilds the error from a Status that arrived over the wire; an unknown reason becomes InternalError. */
  static fromStatus(status: Partial<Status>): StatusError {
    const reason: Reason = status.reason && status.reason in reasons ? (status.reason as Reason) : 'InternalError';
    return new StatusError(reason, status.message ?? 'the server gave no message', {
      ...(status.details ? { details: status.details } : {}),
      ...(status.code ? { code: status.code } : {}),
    });
  }
}

/** True when `error` is a StatusError with one of the given reasons. */
export function isReason(error: unknown, ...wanted: Reason[]): error is StatusError {
  return error instanceof StatusError && wanted.includes(error.reason);
}
