; Two-round truncation by 28 bits from Z_2^56 into Z_2^64: for every z with -2^54 <= z < 2^54
; (signed), every sharing and all masks, the shares of the result sum to floor(z / 2^28) + delta
; modulo 2^64 with delta in 0..=1. The query asks for a counterexample. It also asks for a word for
; which the code's operations (left shift, correction words of 37 bits) differ from the products
; that are written here: there is none. Its conditional negation is negation-64.
; Roles: P1 and P2 open c = z' + rho under the masks r13 and r23 that they share with P3; P3 knows
; rho; y3 is a stream of P2 and P3.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 56))
(declare-fun rho () (_ BitVec 56))
(declare-fun z2 () (_ BitVec 56))
(declare-fun r13 () (_ BitVec 56))
(declare-fun r23 () (_ BitVec 56))
(declare-fun y3 () (_ BitVec 56))
; the components, and what role 3 knows
(define-fun z3 () (_ BitVec 56) (bvsub (bvadd r13 r23) rho))
(define-fun z1 () (_ BitVec 56) (bvsub (bvsub z z2) z3))
(define-fun mask () (_ BitVec 56) (bvsub (bvadd r13 r23) z3))
; round 1: role 1 to role 2, role 2 to role 1
(define-fun sent12 () (_ BitVec 56) (bvadd (bvadd z1 (_ bv18014398509481984 56)) r13))
(define-fun sent21 () (_ BitVec 56) (bvadd z2 r23))
(define-fun c () (_ BitVec 56) (bvadd sent12 sent21))
; round 1: role 3 to role 1; correction words count modulo 2^(t-k+d+1)
(declare-fun result_mask () (_ BitVec 64))
(define-fun y1 () (_ BitVec 64) (bvsub (bvneg ((_ zero_extend 37) ((_ extract 54 28) mask))) result_mask))
(define-fun y2 () (_ BitVec 64) ((_ zero_extend 37) ((_ extract 54 28) c)))
(declare-fun a3 () (_ BitVec 64))
(declare-fun u1 () (_ BitVec 64))
(declare-fun u3 () (_ BitVec 64))
(define-fun a1 () (_ BitVec 64) (bvsub ((_ zero_extend 63) ((_ extract 55 55) mask)) a3))
; round 2: roles 1 and 2 reshare the wrap bit c_top xor rho_top
(define-fun sign () (_ BitVec 64) (bvsub (_ bv1 64) (bvadd ((_ zero_extend 63) ((_ extract 55 55) c)) ((_ zero_extend 63) ((_ extract 55 55) c)))))
(define-fun again12 () (_ BitVec 64) (bvsub (bvmul sign a1) u1))
(define-fun again21 () (_ BitVec 64) (bvsub (bvmul sign a3) u3))
(define-fun s2 () (_ BitVec 64) (bvadd again12 again21 ((_ zero_extend 63) ((_ extract 55 55) c))))
; the components of the result
(define-fun result1 () (_ BitVec 64) (bvadd y1 (bvmul (_ bv134217728 64) u1)))
(define-fun result2 () (_ BitVec 64) (bvsub (bvadd y2 (bvmul (_ bv134217728 64) s2)) (_ bv67108864 64)))
(define-fun result3 () (_ BitVec 64) (bvadd result_mask (bvmul (_ bv134217728 64) u3)))
(define-fun y () (_ BitVec 64) (bvadd result1 result2 result3))
(define-fun floor () (_ BitVec 64) ((_ sign_extend 8) (bvashr z (_ bv28 56))))
(assert (bvsge z (_ bv54043195528445952 56)))
(assert (bvslt z (_ bv18014398509481984 56)))
; a wrong rounding, or a word operation of the code that differs from the one written here
(declare-fun word () (_ BitVec 64))
(assert (or (and (distinct y (bvadd floor (_ bv0 64))) (distinct y (bvadd floor (_ bv1 64)))) (distinct (bvmul (_ bv134217728 64) word) (bvmul (_ bv134217728 64) (bvand word (_ bv137438953471 64)))) (distinct (bvmul (_ bv134217728 64) word) (bvshl word (_ bv27 64)))))
(check-sat)
