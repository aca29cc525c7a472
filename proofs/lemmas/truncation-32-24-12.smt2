; Two-round truncation by 12 bits from Z_2^32 into Z_2^24: for every z with -2^30 <= z < 2^30
; (signed), every sharing and all masks, the shares of the result sum to floor(z / 2^12) + delta
; modulo 2^24 with delta in 0..=1. The query asks for a counterexample. It also asks for a word for
; which the code's operations (left shift, correction words of 5 bits) differ from the products that
; are written here: there is none. Its conditional negation is negation-32.
; Roles: P1 and P2 open c = z' + rho under the masks r13 and r23 that they share with P3; P3 knows
; rho; y3 is a stream of P2 and P3.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 32))
(declare-fun rho () (_ BitVec 32))
(declare-fun z2 () (_ BitVec 32))
(declare-fun r13 () (_ BitVec 32))
(declare-fun r23 () (_ BitVec 32))
(declare-fun y3 () (_ BitVec 32))
; the components, and what role 3 knows
(define-fun z3 () (_ BitVec 32) (bvsub (bvadd r13 r23) rho))
(define-fun z1 () (_ BitVec 32) (bvsub (bvsub z z2) z3))
(define-fun mask () (_ BitVec 32) (bvsub (bvadd r13 r23) z3))
; round 1: role 1 to role 2, role 2 to role 1
(define-fun sent12 () (_ BitVec 32) (bvadd (bvadd z1 (_ bv1073741824 32)) r13))
(define-fun sent21 () (_ BitVec 32) (bvadd z2 r23))
(define-fun c () (_ BitVec 32) (bvadd sent12 sent21))
; round 1: role 3 to role 1; correction words count modulo 2^(t-k+d+1)
(define-fun result_mask () (_ BitVec 24) ((_ extract 23 0) y3))
(define-fun y1 () (_ BitVec 24) (bvsub (bvneg ((_ zero_extend 5) ((_ extract 30 12) mask))) result_mask))
(define-fun y2 () (_ BitVec 24) ((_ zero_extend 5) ((_ extract 30 12) c)))
(declare-fun a3 () (_ BitVec 24))
(declare-fun u1 () (_ BitVec 24))
(declare-fun u3 () (_ BitVec 24))
(define-fun a1 () (_ BitVec 24) (bvsub ((_ zero_extend 23) ((_ extract 31 31) mask)) a3))
; round 2: roles 1 and 2 reshare the wrap bit c_top xor rho_top
(define-fun sign () (_ BitVec 24) (bvsub (_ bv1 24) (bvadd ((_ zero_extend 23) ((_ extract 31 31) c)) ((_ zero_extend 23) ((_ extract 31 31) c)))))
(define-fun again12 () (_ BitVec 24) (bvsub (bvmul sign a1) u1))
(define-fun again21 () (_ BitVec 24) (bvsub (bvmul sign a3) u3))
(define-fun s2 () (_ BitVec 24) (bvadd again12 again21 ((_ zero_extend 23) ((_ extract 31 31) c))))
; the components of the result
(define-fun result1 () (_ BitVec 24) (bvadd y1 (bvmul (_ bv524288 24) u1)))
(define-fun result2 () (_ BitVec 24) (bvsub (bvadd y2 (bvmul (_ bv524288 24) s2)) (_ bv262144 24)))
(define-fun result3 () (_ BitVec 24) (bvadd result_mask (bvmul (_ bv524288 24) u3)))
(define-fun y () (_ BitVec 24) (bvadd result1 result2 result3))
(define-fun floor () (_ BitVec 24) ((_ extract 23 0) (bvashr z (_ bv12 32))))
(assert (bvsge z (_ bv3221225472 32)))
(assert (bvslt z (_ bv1073741824 32)))
; a wrong rounding, or a word operation of the code that differs from the one written here
(declare-fun word () (_ BitVec 24))
(assert (or (and (distinct y (bvadd floor (_ bv0 24))) (distinct y (bvadd floor (_ bv1 24)))) (distinct (bvmul (_ bv524288 24) word) (bvmul (_ bv524288 24) (bvand word (_ bv31 24)))) (distinct (bvmul (_ bv524288 24) word) (bvshl word (_ bv19 24)))))
(check-sat)
