; Two-round truncation by 13 bits from Z_2^40 into Z_2^32: for every z with -2^38 <= z < 2^38
; (signed), every sharing and all masks, the shares of the result sum to floor(z / 2^13) + delta
; modulo 2^32 with delta in 0..=1. The query asks for a counterexample. It also asks for a word for
; which the code's operations (left shift, correction words of 6 bits) differ from the products that
; are written here: there is none. Its conditional negation is negation-40.
; Roles: P1 and P2 open c = z' + rho under the masks r13 and r23 that they share with P3; P3 knows
; rho; y3 is a stream of P2 and P3.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 40))
(declare-fun rho () (_ BitVec 40))
(declare-fun z2 () (_ BitVec 40))
(declare-fun r13 () (_ BitVec 40))
(declare-fun r23 () (_ BitVec 40))
(declare-fun y3 () (_ BitVec 40))
; the components, and what role 3 knows
(define-fun z3 () (_ BitVec 40) (bvsub (bvadd r13 r23) rho))
(define-fun z1 () (_ BitVec 40) (bvsub (bvsub z z2) z3))
(define-fun mask () (_ BitVec 40) (bvsub (bvadd r13 r23) z3))
; round 1: role 1 to role 2, role 2 to role 1
(define-fun sent12 () (_ BitVec 40) (bvadd (bvadd z1 (_ bv274877906944 40)) r13))
(define-fun sent21 () (_ BitVec 40) (bvadd z2 r23))
(define-fun c () (_ BitVec 40) (bvadd sent12 sent21))
; round 1: role 3 to role 1; correction words count modulo 2^(t-k+d+1)
(define-fun result_mask () (_ BitVec 32) ((_ extract 31 0) y3))
(define-fun y1 () (_ BitVec 32) (bvsub (bvneg ((_ zero_extend 6) ((_ extract 38 13) mask))) result_mask))
(define-fun y2 () (_ BitVec 32) ((_ zero_extend 6) ((_ extract 38 13) c)))
(declare-fun a3 () (_ BitVec 32))
(declare-fun u1 () (_ BitVec 32))
(declare-fun u3 () (_ BitVec 32))
(define-fun a1 () (_ BitVec 32) (bvsub ((_ zero_extend 31) ((_ extract 39 39) mask)) a3))
; round 2: roles 1 and 2 reshare the wrap bit c_top xor rho_top
(define-fun sign () (_ BitVec 32) (bvsub (_ bv1 32) (bvadd ((_ zero_extend 31) ((_ extract 39 39) c)) ((_ zero_extend 31) ((_ extract 39 39) c)))))
(define-fun again12 () (_ BitVec 32) (bvsub (bvmul sign a1) u1))
(define-fun again21 () (_ BitVec 32) (bvsub (bvmul sign a3) u3))
(define-fun s2 () (_ BitVec 32) (bvadd again12 again21 ((_ zero_extend 31) ((_ extract 39 39) c))))
; the components of the result
(define-fun result1 () (_ BitVec 32) (bvadd y1 (bvmul (_ bv67108864 32) u1)))
(define-fun result2 () (_ BitVec 32) (bvsub (bvadd y2 (bvmul (_ bv67108864 32) s2)) (_ bv33554432 32)))
(define-fun result3 () (_ BitVec 32) (bvadd result_mask (bvmul (_ bv67108864 32) u3)))
(define-fun y () (_ BitVec 32) (bvadd result1 result2 result3))
(define-fun floor () (_ BitVec 32) ((_ extract 31 0) (bvashr z (_ bv13 40))))
(assert (bvsge z (_ bv824633720832 40)))
(assert (bvslt z (_ bv274877906944 40)))
; a wrong rounding, or a word operation of the code that differs from the one written here
(declare-fun word () (_ BitVec 32))
(assert (or (and (distinct y (bvadd floor (_ bv0 32))) (distinct y (bvadd floor (_ bv1 32)))) (distinct (bvmul (_ bv67108864 32) word) (bvmul (_ bv67108864 32) (bvand word (_ bv63 32)))) (distinct (bvmul (_ bv67108864 32) word) (bvshl word (_ bv26 32)))))
(check-sat)
